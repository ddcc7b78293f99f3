"""Models side by side on the terminal: how they do on data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite
from typing import Any

from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprune.evaluation import METRICS, Metric
from onnxprune.report.figures import count, printable, shortened, size
from onnxprune.report.style import INDENT, emit, grid, signs, width

Cells = Sequence[Sequence[str]]

_LEAST_NAME = 14
_GAP = 2
_SURE = " ±"
_DIGITS = {"%": 2, "dB": 1}
_PLAIN_DIGITS = 4


def show_comparison(found: Mapping[str, Any], console: Console) -> None:
    """Print a comparison.

    Args:
        found: as ``Comparison.to_dict`` gives it.
        console: where; its width, colours and encoding are respected.
    """
    chars = signs(console)
    room = width(console) - INDENT
    heads, columns = _form(found["models"], room, chars.dash)
    parts: list[RenderableType] = [_table(found["models"], heads, columns, room)]
    told = [printable(found["models"][0]["data"])]
    if any(_SURE in text for column in columns for text in column):
        told.append("± half a 95 % interval")
    if found["teacher"] is not None:
        told.append(f"compared with {printable(found['teacher'])}")
    parts.append(Text(f" {chars.dot} ".join(told), "dim"))
    parts += [Text(f"! {printable(note)}", "yellow") for note in found["notes"]]
    emit(console, parts)


def _form(rows: Sequence[Mapping[str, Any]], room: int, dash: str) -> tuple[list[str], Cells]:
    """Heads and columns behind the names: the widest form that leaves room for these."""
    metrics = [METRICS[name] for name in rows[0]["metrics"]]
    titles = [f"{metric.title} {metric.unit}".strip() for metric in metrics]
    sizes = [size(row["bytes"]) for row in rows]
    params = [count(row["params"]) for row in rows]
    sure = [[cell(metric, row, dash) for row in rows] for metric in metrics]
    plain = [[text.partition(_SURE)[0] for text in column] for column in sure]
    forms: list[tuple[list[str], Cells]] = [
        (["size", "params", *titles], [sizes, params, *sure]),
        (["size", *titles], [sizes, *sure]),
        (["size", *titles], [sizes, *plain]),
        (titles, plain),
    ]
    return next((form for form in forms if room - _taken(*form) >= _LEAST_NAME), forms[-1])


def _table(rows: Sequence[Mapping[str, Any]], heads: list[str], columns: Cells, room: int) -> Table:
    names = max(_LEAST_NAME, room - _taken(heads, columns))
    sides: list[JustifyMethod] = ["right"] * len(heads)
    table = grid("left", *sides)
    table.add_row(*(Text(head, "dim") for head in ("model", *heads)))
    for row, cells in zip(rows, zip(*columns, strict=True), strict=True):
        table.add_row(Text(shortened(printable(row["model"]), names), "bold"), *cells)
    return table


def _taken(heads: Sequence[str], columns: Cells) -> int:
    """Characters that columns take, with the gaps before them."""
    return sum(max(map(len, (head, *cells))) + _GAP for head, cells in zip(heads, columns, strict=True))


def cell(metric: Metric, row: Mapping[str, Any], dash: str) -> str:
    """A figure with half of its confidence interval; nothing to tell where a model meets itself."""
    if row["reference"] and "teacher" in metric.needs:
        return dash
    figure = row["metrics"][metric.name]
    low, high = figure["interval"]
    value = spelled(metric, figure["value"])
    if not (isfinite(low) and isfinite(high)):
        return value
    return f"{value}{_SURE}{number(metric)(metric.points((high - low) / 2))}"


def spelled(metric: Metric, value: float) -> str:
    """A value of a metric in its points, without the unit."""
    if not isfinite(value):
        return "equal" if value == inf else "none"
    return number(metric)(metric.points(value))


def number(metric: Metric) -> Callable[[float], str]:
    """How points of a metric are written."""
    digits = _DIGITS.get(metric.unit, _PLAIN_DIGITS)
    return lambda points: f"{points:.{digits}f}"
