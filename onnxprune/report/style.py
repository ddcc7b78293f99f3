"""What the terminal views share: signs, bars, and consoles that never choke on a character."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, JustifyMethod, RenderableType
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

INDENT = 2
WIDEST = 120
"""Wider terminals get no wider tables: the eye loses the line."""


@dataclass(frozen=True)
class Signs:
    """Characters that a terminal can show."""

    arrow: str
    full: str
    empty: str
    dot: str
    good: str
    bad: str
    dash: str


UNICODE = Signs("→", "━", "─", "·", "✓", "✗", "–")
ASCII = Signs("->", "#", "-", "|", "ok", "!!", "-")


def signs(console: Console) -> Signs:
    """The characters that the console's encoding has."""
    return ASCII if console.options.ascii_only else UNICODE


def width(console: Console) -> int:
    """Columns that a view may take, indentation included."""
    return min(console.width, WIDEST)


def bar(fraction: float, cells: int, chars: Signs) -> Text:
    """A bar of what is left; anything left, and anything gone, shows as at least one cell."""
    full = round(fraction * cells)
    if 0 < fraction < 1:
        full = min(max(full, 1), cells - 1)
    return Text.assemble((chars.full * full, "cyan"), (chars.empty * (cells - full), "dim"))


def grid(*justify: JustifyMethod) -> Table:
    """A table without lines, one column for each of ``left``, ``right``, ``center``."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in justify:
        table.add_column(justify=side, no_wrap=True)
    return table


def emit(console: Console, parts: Sequence[RenderableType]) -> None:
    """Print parts one below the other, indented, an empty line between them, no blanks at line ends."""
    options = console.options.update(width=width(console) - INDENT, highlight=False)
    lines = [[Segment("")]]
    for part in parts:
        lines += [*console.render_lines(part, options, pad=False), [Segment("")]]
    for line in lines:
        console.print(Segments([*_stripped(line), Segment.line()]), end="", soft_wrap=True)


def _stripped(line: Sequence[Segment]) -> list[Segment]:
    """The line behind its margin, without blanks at its end; a line of blanks is empty."""
    rest = list(line)
    while rest and not rest[-1].text.strip():
        rest.pop()
    if not rest:
        return []
    last = rest.pop()
    return [Segment(" " * INDENT), *rest, Segment(last.text.rstrip(), last.style)]
