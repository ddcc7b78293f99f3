"""A sweep on the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from onnxprune.report.figures import printable, shortened
from onnxprune.report.markdown import escaped
from onnxprune.report.style import INDENT, emit, grid, signs, width
from onnxprune.report.sweep_cells import Cell, Table, about, combinations_of, headline, table_of
from onnxprune.sweep import Sweep

MARK = "*"
"""Behind a figure that no other result beats for its cost."""

_LEAST_NAME = 16
_GAP = 2


def show_sweep(found: Sweep, console: Console, *, files: Sequence[str] = ()) -> None:
    """Print the results of a sweep.

    Args:
        found: of the sweep.
        console: where; its width, colours and encoding are respected.
        files: what was written.
    """
    chars = signs(console)
    room = width(console) - INDENT
    table = table_of(found)
    title = Text.assemble((_model(found), "bold"), "\n", (f" {chars.dot} ".join(headline(found)), "dim"))
    parts: list[RenderableType] = [title]
    combined = combinations_of(found)
    parts.append(_grid(combined or table, room))
    told = [_legend(combined is not None), f" {chars.dot} ".join(about(found, table.same))]
    parts.append(Text("\n".join(told), "dim"))
    parts += [
        Text(f"{chars.bad} {printable(row.config.title)}: {printable(row.reason)}", "red")
        for row in found.failed
    ]
    parts += [Text(f"! {printable(note)}", "yellow") for note in found.notes]
    written = "\n".join(f"{chars.good} written  {printable(file)}" for file in files)
    parts += [Text(written, "green")] if files else []
    emit(console, parts)


def sweep_markdown(found: Sweep) -> str:
    """The results of a sweep as a Markdown page."""
    table = table_of(found)
    combined = combinations_of(found)
    parts = [f"# Sweep of {escaped(_model(found))}", ". ".join(headline(found)) + "."]
    parts += [] if combined is None else [_markdown(combined)]
    parts += [_markdown(table), _legend(False) + "."]
    parts.append("\n".join(f"- {escaped(text)}" for text in about(found, table.same)))
    parts += [f"**{escaped(row.config.title)}**: {escaped(row.reason)}" for row in found.failed]
    parts += [f"Note: {escaped(note)}" for note in found.notes]
    return "\n\n".join(parts) + "\n"


def _model(found: Sweep) -> str:
    path = found.source.get("path")
    return "model in memory" if path is None else printable(path)


def _legend(combined: bool) -> str:
    what = "for its size" if combined else "for its cost; at the quality, for all costs together"
    return f"{MARK} on the Pareto front: no other result is as good {what}"


def _grid(table: Table, room: int) -> Grid:
    """The table as wide as there is room for: without columns to spare first, then with shorter names."""
    texts = [[_text(cell) for cell in line] for line in (table.heads, *table.lines)]
    wide = [
        max((len(line[k]) for line in texts if k < len(line)), default=0) for k in range(len(table.heads))
    ]
    shown = list(range(len(wide)))
    for k in [k for k, head in enumerate(table.heads) if head.spare]:
        if sum(wide[k] + _GAP for k in shown) - _GAP > room:
            shown.remove(k)
    name = max(_LEAST_NAME, room - sum(wide[k] + _GAP for k in shown[1:]))
    view = grid(*("right" if table.heads[k].number else "left" for k in shown))
    view.add_row(*(Text(table.heads[k].text, "dim") for k in shown))
    for line, row in zip(table.lines, table.rows, strict=True):
        style = "bold" if row.config.is_source else "dim" if row.reason else ""
        cells = [_styled(line[k]) for k in shown[1:] if k < len(line)]
        failed = [Text("failed", "red")] if len(line) < len(table.heads) else []
        view.add_row(Text(shortened(line[0].text, name), style), *cells, *failed)
    return view


def _text(cell: Cell) -> str:
    return f"{cell.text}{MARK if cell.best else ' ' if cell.number else ''}"


def _styled(cell: Cell) -> Text:
    return Text(_text(cell), "green" if cell.best else "")


def _markdown(table: Table) -> str:
    heads = [escaped(head.text) for head in table.heads]
    rule = ["---:" if head.number else "---" for head in table.heads]
    lines = []
    for line in table.lines:
        cells = [f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in line]
        lines.append([*cells, *[""] * (len(heads) - len(cells))])
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *lines))
