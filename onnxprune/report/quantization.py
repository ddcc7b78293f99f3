"""Quantised copies in words: sizes, accuracy and latency side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxprune.evaluation.metrics import METRICS
from onnxprune.report.document import Report
from onnxprune.report.evaluation_terminal import spelled
from onnxprune.report.figures import plural, printable, significant, size
from onnxprune.report.style import emit, grid, signs

SHOWN = ("accuracy", "agreement", "sqnr")
"""Metrics of which the first two that were measured are shown."""

_LAST_STAGES = ("after_training", "after_repair", "after", "after_cut")

Row = tuple[str, ...]


def comparison(report: Report) -> list[Row]:
    """A heading and a row each for source, pruned, and both quantised; empty where nothing was quantised."""
    own = report.quantization
    if not own:
        return []
    kind = own["kind"]
    stages = report.accuracy.get("stages", {})
    last: Mapping[str, Any] = next((stages[name] for name in _LAST_STAGES if name in stages), {})
    sizes = [*report.totals["bytes"], own["source_bytes"], own["output"]["bytes"]]
    names = ["source", "pruned", f"source+{kind}", f"pruned+{kind}"]
    copies = own.get("accuracy", {})
    figures = [stages.get("before", {}), last, *(copies.get(name, {}) for name in names[2:])]
    return _table(names, sizes, figures, report.latency.get("models", {}))


def show_quantization(found: Mapping[str, Any], console: Console) -> None:
    """Print what became of one model.

    Args:
        found: as ``QuantizeResult.to_dict`` gives it.
        console: where.
    """
    stages = found.get("accuracy", {})
    kind = found["kind"]
    rows = _table(
        ["source", kind],
        [found["source_bytes"], found["output"]["bytes"]],
        [stages.get("before", {}), stages.get(kind, {})],
        {},
    )
    chars = signs(console)
    notes = Table.grid(padding=(0, 2, 0, 0))
    notes.add_row(Text(f"{chars.good} written", "green"), printable(found["output"]["path"]))
    notes.add_row(f"{chars.dash} {kind}", form_text(found))
    emit(console, [as_grid(rows), notes])


def form_text(found: Mapping[str, Any]) -> str:
    """How a copy was made, in a few words."""
    if found["form"] != "static":
        return {"dynamic": "ranges found at run time", "float16": "inputs and outputs as they were"}[
            found["form"]
        ]
    return f"ranges by {found['ranges']} of {plural(found['samples'], 'sample')}, a scale for each channel"


def as_grid(rows: Sequence[Row]) -> Table:
    """Rows on the terminal, the first of them dim."""
    table = grid("left", *["right"] * (len(rows[0]) - 1))  # type: ignore[arg-type]
    table.add_row(*(Text(head, "dim") for head in rows[0]))
    for name, *cells in rows[1:]:
        table.add_row(Text(name, "bold"), *cells)
    return table


def _table(
    names: Sequence[str],
    sizes: Sequence[int],
    figures: Sequence[Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
) -> list[Row]:
    metrics = [METRICS[name] for name in SHOWN if any(name in own for own in figures)][:2]
    timed = bool(models) and all(name in models for name in names)
    rows: list[Row] = [
        (
            "",
            "size",
            *(f"{metric.title} {metric.unit}".strip() for metric in metrics),
            *(["p50 ms"] if timed else []),
        )
    ]
    for name, nbytes, own in zip(names, sizes, figures, strict=True):
        cells = [spelled(m, own[m.name]["value"]) if m.name in own else "" for m in metrics]
        times = [significant(models[name]["p50_ms"])] if timed else []
        rows.append((name, size(nbytes), *cells, *times))
    return rows
