"""Groups as a page shows them: a map of what they tie together, and a list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from onnxprune.report.document import LayerRow
from onnxprune.report.figures import percent, share
from onnxprune.report.groups import GroupAccount
from onnxprune.report.html.escape import decimal
from onnxprune.report.rows import label

ROW = 18
"""Height of a row of the map, pixels."""

WIDEST, NARROWEST = 26.0, 5.0
"""Most and fewest pixels for a layer."""

ROOM = 760.0
"""Pixels that the layers share before the map has to be scrolled."""

MOST_ROWS = 400
MOST_NAMES = 24
"""Nodes that a group lists under one heading; the .json report has all."""

ROLES = {"filters of": ("filter",), "read by": ("input",), "also in": ("scale", "bias", "other")}
"""What is said about nodes, by their roles; a node is named with the first that fits it."""


@dataclass(frozen=True)
class Members:
    """Nodes of which the same is said: labels of the first, and how many there are beyond them."""

    words: str
    labels: tuple[str, ...]
    more: int


@dataclass(frozen=True)
class GroupLine:
    """A group in the list.

    Attributes:
        number: position in the graph, from 1.
        label: what people know it by.
        brief: the same where there is little room.
        account: what became of it.
        left: share of its channels that is left.
        percent: the same in words.
        members: by what they have to do with it.
    """

    number: int
    label: str
    brief: str
    account: GroupAccount
    left: float
    percent: str
    members: tuple[Members, ...]

    @property
    def pruned(self) -> bool:
        """Whether it lost channels."""
        return self.account.channels[1] < self.account.channels[0]


@dataclass(frozen=True)
class GroupMap:
    """Groups as rows, layers as columns in graph order; all in pixels.

    Attributes:
        width: of the part with the layers.
        height: of the same.
        dot: diameter of a dot.
        rows: from the top.
        lines: path that joins the first and last layer of each pruned group.
        whole_lines: the same of the groups that are whole.
        filters: path of the dots where a layer's filters are the group's channels.
        whole_filters: the same of the groups that are whole.
        readers: path of the rings where a layer reads the channels.
        whole_readers: the same of the groups that are whole.
        marks: (x, number) of the layers that are numbered.
        left_out: groups without a row.
    """

    width: float
    height: float
    dot: float
    rows: tuple[GroupLine, ...]
    lines: str
    whole_lines: str
    filters: str
    whole_filters: str
    readers: str
    whole_readers: str
    marks: tuple[tuple[float, int], ...]
    left_out: int


def group_lines(groups: Sequence[GroupAccount], layers: Sequence[LayerRow]) -> tuple[GroupLine, ...]:
    """The list of groups.

    Args:
        groups: in graph order.
        layers: in graph order; they bring the names that people know.
    """
    known = {row.name: label(row) for row in layers}
    operators = {row.op for row in layers}
    lines = []
    for number, account in enumerate(groups, start=1):
        left = share(*account.channels)
        own = _label(account.name, known)
        lines.append(
            GroupLine(
                number=number,
                label=own,
                brief=brief(own, operators),
                account=account,
                left=left,
                percent=percent(left),
                members=_members(account, known),
            )
        )
    return tuple(lines)


def brief(name: str, operators: Collection[str]) -> str:
    """A name without what exporters repeat in it.

    ``/features/features.7/conv/conv.0/Conv`` is ``features.7/conv.0``: modules name their parents
    again, and the operator stands in a column of its own.
    """
    base, mark, number = name.partition("#")
    parts = [part for part in base.split("/") if part]
    if len(parts) > 1 and parts[-1] in operators:
        parts.pop()
    told = [part for part, after in pairwise([*parts, ""]) if not after.startswith(f"{part}.")]
    return ("/".join(told) or base) + mark + number


def group_map(lines: Sequence[GroupLine], layers: Sequence[LayerRow]) -> GroupMap:
    """The map of the groups.

    Args:
        lines: as ``group_lines`` gives them.
        layers: the columns, in graph order.
    """
    pitch = min(max(ROOM / max(len(layers), 1), NARROWEST), WIDEST)
    places = {row.name: (place + 0.5) * pitch for place, row in enumerate(layers)}
    drawn = [line for line in lines if any(places.keys() & set(n) for n in line.account.members.values())]
    paths = _Paths(places)
    rows = drawn[:MOST_ROWS]
    for place, line in enumerate(rows):
        paths.add(line, (place + 0.5) * ROW)
    every = next(n for n in (1, 5, 10, 20, 50, 100, 1000) if n * pitch >= WIDEST - 1)
    return GroupMap(
        width=round(pitch * len(layers), 2),
        height=ROW * len(rows),
        dot=min(pitch - 1, 9.0),
        rows=tuple(rows),
        **{name: "".join(pieces) for name, pieces in paths.pieces.items()},
        marks=tuple(((n - 0.5) * pitch, n) for n in range(1, len(layers) + 1) if n == 1 or n % every == 0),
        left_out=max(0, len(drawn) - MOST_ROWS),
    )


class _Paths:
    """The paths of a map, row by row; a dot is a line of no length with round ends."""

    def __init__(self, places: Mapping[str, float]) -> None:
        self._places = places
        kinds = ("lines", "filters", "readers")
        self.pieces: dict[str, list[str]] = {f"{who}{kind}": [] for kind in kinds for who in ("", "whole_")}

    def add(self, line: GroupLine, y: float) -> None:
        """Draw a group at a height."""
        who = "" if line.pruned else "whole_"
        found = line.account.members
        filters = [self._places[node] for node in found.get("filter", ()) if node in self._places]
        everywhere = {
            self._places[node] for nodes in found.values() for node in nodes if node in self._places
        }
        at = decimal(y)
        self.pieces[f"{who}lines"].append(f"M{decimal(min(everywhere))} {at}H{decimal(max(everywhere))}")
        self.pieces[f"{who}filters"] += [f"M{decimal(x)} {at}h0" for x in filters]
        readers = sorted(everywhere - set(filters))
        self.pieces[f"{who}readers"] += [f"M{decimal(x)} {at}h0" for x in readers]


def _members(account: GroupAccount, known: Mapping[str, str]) -> tuple[Members, ...]:
    """Nodes by what is said about them."""
    found, named = [], set[str]()
    for words, roles in ROLES.items():
        there = dict.fromkeys(node for role in roles for node in account.members.get(role, ()))
        nodes = [node for node in there if node not in named]
        named.update(nodes)
        if nodes:
            labels = tuple(_label(node, known) for node in nodes[:MOST_NAMES])
            found.append(Members(words, labels, max(0, len(nodes) - MOST_NAMES)))
    return tuple(found)


def _label(node: str, known: Mapping[str, str]) -> str:
    """The layer's label; a second group of a layer is ``layer#2``."""
    base, mark, number = node.rpartition("#")
    if node not in known and mark and base in known:
        return f"{known[base]}#{number}"
    return known.get(node, node)
