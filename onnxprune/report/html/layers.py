"""Layers as a page shows them: a skyline of all, and a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from onnxprune.report.document import LayerRow
from onnxprune.report.figures import percent, share
from onnxprune.report.html.axis import Axis
from onnxprune.report.html.escape import decimal
from onnxprune.report.rows import label

HEIGHT = 100.0
GAP = 0.1
"""Share of a bar's place that stays free on either side."""

MOST_TIPS = 400
"""Beyond so many layers a bar is too narrow to point at."""


@dataclass(frozen=True)
class LayerLine:
    """A line of the table of layers.

    Attributes:
        number: position in the graph, from 1.
        label: what people know it by.
        row: what became of it.
        left: share of its channels that is left.
        percent: the same in words.
        groups: numbers of the groups that its channels belong to.
        removed: how many channels each of several criteria removed, in words.
    """

    number: int
    label: str
    row: LayerRow
    left: float
    percent: str
    groups: tuple[int, ...]
    removed: str


@dataclass(frozen=True)
class Skyline:
    """Output channels of all layers side by side, in a box ``len(bars)`` wide and 100 high.

    Attributes:
        width: layers.
        before: path of the bars of pruned layers as they were.
        after: path of what is left of them.
        whole: path of the layers that lost nothing.
        breaks: strokes through the bars that are taller than the box.
        axis: of the channels; it ends at the widest layer that could be cut, as the classes of a
            classifier would press all others down.
        tips: whether bars are wide enough to point at.
    """

    width: int
    before: str
    after: str
    whole: str
    breaks: str
    axis: Axis
    tips: bool


@dataclass(frozen=True)
class Reason:
    """Layers that are whole for the same reason."""

    reason: str
    lines: tuple[LayerLine, ...]

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.lines)


def layer_lines(
    rows: Iterable[LayerRow], numbers: Mapping[str, int], criteria: Sequence[str]
) -> tuple[LayerLine, ...]:
    """The lines of the table.

    Args:
        rows: in graph order.
        numbers: number of each group on the page.
        criteria: names of the criteria, in the order of ``LayerRow.removed_by``.
    """
    lines = []
    for place, row in enumerate(rows, start=1):
        left = share(*row.channels)
        groups = tuple(numbers[group] for group in row.groups if group in numbers)
        removed = _removed(row, criteria)
        lines.append(LayerLine(place, label(row), row, left, percent(left), groups, removed))
    return tuple(lines)


def skyline(rows: Sequence[LayerRow]) -> Skyline:
    """The bars of all layers."""
    free = [row.channels[0] for row in rows if row.status != "pinned"]
    most = max(free or [row.channels[0] for row in rows], default=1)
    channels = Axis(0, most, (0, most) if most % 2 else (0, most // 2, most))
    taller = [place for place, row in enumerate(rows) if row.channels[0] > most]
    pruned = [row.channels[1] < row.channels[0] for row in rows]
    return Skyline(
        width=len(rows),
        before=_bars(rows, pruned, 0, channels),
        after=_bars(rows, pruned, 1, channels),
        whole=_bars(rows, [not lost for lost in pruned], 0, channels),
        breaks="".join(f"M{place} 17L{place + 1} 9" for place in taller),
        axis=channels,
        tips=len(rows) <= MOST_TIPS,
    )


def reasons(lines: Iterable[LayerLine]) -> tuple[Reason, ...]:
    """The layers that kept all channels, by reason, the most frequent first."""
    found: dict[str, list[LayerLine]] = {}
    for line in lines:
        if line.row.status != "pruned":
            found.setdefault(line.row.reason or "nothing was asked of it", []).append(line)
    order = sorted(found.items(), key=lambda item: -len(item[1]))
    return tuple(Reason(reason, tuple(members)) for reason, members in order)


def _removed(row: LayerRow, criteria: Sequence[str]) -> str:
    """What each criterion removed, where there are several."""
    if len(criteria) < 2 or len(row.removed_by) != len(criteria):
        return ""
    pairs = zip(row.removed_by, criteria, strict=True)
    return ", ".join(f"{channels:,} by {name}" for channels, name in pairs if channels)


def _bars(rows: Sequence[LayerRow], drawn: Sequence[bool], which: int, channels: Axis) -> str:
    """One path for the bars of the layers that are drawn."""
    pieces = []
    for place, (row, wanted) in enumerate(zip(rows, drawn, strict=True)):
        if wanted:
            top = decimal(HEIGHT - channels.place(row.channels[which]))
            pieces.append(f"M{decimal(place + GAP)} 100V{top}h{decimal(1 - 2 * GAP)}V100z")
    return "".join(pieces)
