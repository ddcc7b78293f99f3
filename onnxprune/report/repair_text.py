"""What a repair did, in one line of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onnxprune.report.figures import percent, plural


def repair_text(section: Mapping[str, Any]) -> str:
    """The line of ``report.repair``; empty where nothing was repaired, or it was taken back.

    Args:
        section: method, samples, layers, and the errors of the outputs before and after.
    """
    method = section.get("method", "none")
    if method == "none":
        return ""
    layers = len({row["layer"] for row in section.get("layers", ())})
    samples = int(section.get("samples", 0))
    on = f", on {plural(samples, 'sample')}" if samples else ""
    errors = section.get("output_error")
    off = f": outputs off by {percent(errors[0])} → {percent(errors[1])}" if errors else ""
    return f"{method}, {plural(layers, 'layer')}{on}{off}"
