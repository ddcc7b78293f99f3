"""A scan of layers on the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from rich.console import Console, JustifyMethod, RenderableType
from rich.text import Text

from onnxprune.evaluation import METRICS
from onnxprune.report.document import LayerRow
from onnxprune.report.evaluation_terminal import cell, spelled
from onnxprune.report.figures import percent, plural, printable, shortened
from onnxprune.report.rows import label
from onnxprune.report.style import INDENT, emit, grid, signs, width
from onnxprune.sensitivity import Row, Sensitivity

SMALL, LARGE = 1.0, 5.0
"""Points of percent up to which a drop is small, and beyond which it is large."""

_LEAST_NAME = 12
_GAP = 2


def show_sensitivity(found: Sensitivity, console: Console, *, files: Sequence[str] = ()) -> None:
    """Print the result of a scan.

    Args:
        found: of the scan.
        console: where; its width, colours and encoding are respected.
        files: what was written.
    """
    chars = signs(console)
    metric = METRICS[found.metric]
    heads = ["layer", "channels", "MACs", *(percent(ratio) for ratio in found.ratios)]
    lines = [[_name(row), str(row.channels), percent(row.macs), *_values(found, row)] for row in found.rows]
    taken = sum(max(map(len, column)) + _GAP for column in zip(heads, *lines, strict=True)) if lines else 0
    longest = max((len(line[0]) for line in lines), default=0)
    names = max(_LEAST_NAME, width(console) - INDENT - taken + longest)
    sides: list[JustifyMethod] = ["left", *["right"] * (len(heads) - 1)]  # type: ignore[list-item]
    table = grid(*sides)
    table.add_row(*(Text(head, "dim") for head in heads))
    for row, line in zip(found.rows, lines, strict=True):
        values = [Text(text, _colour(found.drop(p))) for text, p in zip(line[3:], row.points, strict=True)]
        table.add_row(Text(shortened(line[0], names)), *line[1:3], *values)
    about = f"{metric.title} {metric.unit}".strip()
    told = [f"{about} when a layer alone loses this share of its channels", _data(found)]
    parts: list[RenderableType] = [_headline(found), table, Text(f" {chars.dot} ".join(told), "dim")]
    if files:
        parts.append(Text("\n".join(f"{chars.good} written  {printable(file)}" for file in files), "green"))
    parts += [Text(f"! {printable(note)}", "yellow") for note in (*found.notes, *_pruned(found))]
    emit(console, parts)


def markdown_of(found: Sensitivity) -> str:
    """The result of a scan as a Markdown page."""
    from onnxprune.report.markdown import escaped

    metric = METRICS[found.metric]
    heads = ["layer", "coupled with", "channels", "MACs", *(percent(ratio) for ratio in found.ratios)]
    lines = [
        [
            escaped(_named(row)),
            escaped(", ".join(row.layers[1:])),
            str(row.channels),
            percent(row.macs),
            *_values(found, row),
        ]
        for row in found.rows
    ]
    table = [
        "| " + " | ".join(cells) + " |"
        for cells in (heads, ["---", "---", *["---:"] * (len(heads) - 2)], *lines)
    ]
    whole = spelled(metric, found.baseline[found.metric])
    about = f"{metric.title} {metric.unit}".strip()
    return "\n".join(
        [
            f"# Sensitivity of {escaped(_model(found))}",
            "",
            f"{about} when a layer alone loses a share of its channels; the whole model: {whole}. "
            f"Samples: {escaped(found.baseline.data)}.",
            "",
            *table,
            "",
        ]
    )


def row_name(row: Row) -> str:
    """What people know the first layer by, and how many go with it."""
    return _name(row)


def _headline(found: Sensitivity) -> Text:
    metric = METRICS[found.metric]
    entry = {"reference": False, "metrics": {found.metric: found.baseline.figures[found.metric].to_dict()}}
    unit = metric.unit if isfinite(found.baseline[found.metric]) else ""
    whole = f"whole model: {metric.title} {cell(metric, entry, '')} {unit}".strip()
    criterion = found.settings["criterion"]["name"]
    return Text.assemble((_model(found), "bold"), "\n", (f"{printable(criterion)} · {whole}", "dim"))


def _model(found: Sensitivity) -> str:
    path = found.source.get("path")
    return "model in memory" if path is None else printable(path)


def _named(row: Row) -> str:
    first = row.layers[0] if row.layers else row.group
    return label(LayerRow(first, "", row.weight, (0, 0), (), "kept"))


def _name(row: Row) -> str:
    return _named(row) + (f" +{len(row.layers) - 1}" if len(row.layers) > 1 else "")


def _values(found: Sensitivity, row: Row) -> list[str]:
    metric = METRICS[found.metric]
    return [spelled(metric, point.figures[found.metric].value) for point in row.points]


def _colour(drop: float) -> str:
    return "green" if drop <= SMALL else "yellow" if drop <= LARGE else "red"


def _data(found: Sensitivity) -> str:
    return printable(found.baseline.data)


def _pruned(found: Sensitivity) -> list[str]:
    """What is worth knowing of how rows were taken."""
    other = [row for row in found.rows if row.how == "pruned"]
    if not other:
        return []
    why = "; ".join(dict.fromkeys(row.note for row in other))
    return [f"{plural(len(other), 'layer')} measured by surgery instead of masks: {why}"]
