"""Layers as lines of a listing that fits a screen."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from onnxprune.report.document import Change, LayerRow, Status
from onnxprune.report.figures import printable

NUMBERED = re.compile(r"(node_|onnx::)?[A-Za-z]*_[0-9]+|n?[0-9]+")
"""Names that say nothing but where in the file something stands."""

SCREEN = 40
"""Longer listings are folded: layers of one group share a line, then the middle is left out."""


@dataclass(frozen=True)
class Line:
    """One line of a listing.

    Attributes:
        name: of the first layer.
        op: operator type; several where layers of different kinds share the line.
        channels: before and after.
        status: what became of the channels.
        more: further layers of which the same is true.
    """

    name: str
    op: str
    channels: Change
    status: Status
    more: int = 0


@dataclass(frozen=True)
class Listing:
    """Lines above and below a gap.

    Attributes:
        head: from the top.
        left_out: lines in between that are not shown.
        tail: at the bottom, empty where nothing is left out.
    """

    head: tuple[Line, ...]
    left_out: int = 0
    tail: tuple[Line, ...] = ()


def listing(rows: Sequence[LayerRow], *, limit: int | None = SCREEN) -> Listing:
    """The lines of some layers, folded where there are more than the limit (None for no limit)."""
    if limit is None or len(rows) <= limit:
        return Listing(tuple(_line((row,)) for row in rows))
    together: dict[Hashable, list[LayerRow]] = {}
    for row in rows:
        together.setdefault((row.groups or row.reason, row.channels, row.status), []).append(row)
    folded = tuple(_line(tuple(members)) for members in together.values())
    if len(folded) <= limit:
        return Listing(folded)
    half = (limit - 1) // 2
    return Listing(folded[: limit - 1 - half], len(folded) - limit + 1, folded[len(folded) - half :])


def label(row: LayerRow) -> str:
    """What people know a layer by: its weight's name where the node has only a number.

    Exporters give one of the two a name from the source code and number the other. ``--include``
    and its like understand both.
    """
    numbered = NUMBERED.fullmatch(row.name) and row.weight and not NUMBERED.fullmatch(row.weight)
    return printable(row.weight if numbered else row.name)


def _line(members: tuple[LayerRow, ...]) -> Line:
    first = members[0]
    ops = "/".join(dict.fromkeys(printable(row.op) for row in members))
    return Line(label(first), ops, first.channels, first.status, len(members) - 1)
