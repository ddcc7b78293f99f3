"""The latency of a report in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.report.figures import percent, plural


def latency_text(latency: Mapping[str, Any]) -> str:
    """What was measured, in one sentence; empty where nothing was."""
    models = latency.get("models", {})
    if "ratio" not in latency or len(models) < 2:
        return ""
    before, after = (models[name]["p50_ms"] for name in ("source", "pruned"))
    low, high = latency["ratio_interval"]
    told = (
        f"{before:.3g} to {after:.3g} ms, {latency['ratio']:.3g}x ({low:.3g} to {high:.3g}) of the source's"
    )
    clock = "" if latency["clock"] == "wall" else ", time on the processor"
    return f"{told}: {latency['verdict']}; {plural(latency['threads'], 'thread')}{clock}"


def search_text(latency: Mapping[str, Any]) -> str:
    """How a latency was met, in one sentence; empty where none was asked for."""
    table = latency.get("table")
    if not table:
        return ""
    origin = "from the cache" if table["cached"] else f"measured at {table['designs']} widths"
    return (
        f"layer times {origin} fit within {percent(table['fit_error'])}; "
        f"{plural(latency['trials'], 'candidate')} tried; "
        f"{percent(latency['importance'])} of the importance kept"
    )
