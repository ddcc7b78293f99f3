"""Histograms of filter scores, small enough to stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxprune.report.document import Change
from onnxprune.report.html.escape import decimal
from onnxprune.report.html.groups import GroupLine
from onnxprune.report.scores import Histogram

FIRST = 25
"""Histograms that are open when a page is, where there are many more; the rest is folded away."""

FEW_MORE = 10


@dataclass(frozen=True)
class Bars:
    """The histogram of one group, in a box ``width`` wide and 100 high.

    Attributes:
        number: of the group on the page.
        label: what people know the group by.
        brief: the same where there is little room.
        channels: before and after.
        width: bins.
        removed: path of the units that went.
        kept: path of the units that stayed, above them where a bin holds both.
        cut: where the line between them is, in bins; None where there is none.
        low: lowest score.
        high: highest score.
        threshold: the score at the line, empty where there is none.
        others: units that another criterion removed, which are not drawn.
    """

    number: int
    label: str
    brief: str
    channels: Change
    width: int
    removed: str
    kept: str
    cut: float | None
    low: str
    high: str
    threshold: str
    others: int


def bars(groups: Sequence[GroupLine], scores: Mapping[str, Histogram]) -> tuple[Bars, ...]:
    """The histograms in graph order; those of groups that lost units first.

    Args:
        groups: as the page lists them.
        scores: by name of the group.
    """
    found = [_bars(line, scores[line.account.name]) for line in groups if line.account.name in scores]
    return tuple(sorted(found, key=lambda own: own.channels[0] == own.channels[1]))


def shown_first(found: Sequence[Bars]) -> int:
    """How many histograms are open when a page is."""
    return FIRST if len(found) > FIRST + FEW_MORE else len(found)


def _bars(line: GroupLine, own: Histogram) -> Bars:
    top = max(k + r for k, r in zip(own.kept, own.removed, strict=True)) or 1
    height = [100.0 * r / top for r in own.removed]
    both = [100.0 * (k + r) / top for k, r in zip(own.kept, own.removed, strict=True)]
    span = own.high / 2 - own.low / 2  # halves, so that a difference of huge scores does not overflow
    cut = None
    if own.threshold is not None and span > 0:
        cut = len(own.kept) * min(max((own.threshold / 2 - own.low / 2) / span, 0.0), 1.0)
    return Bars(
        number=line.number,
        label=line.label,
        brief=line.brief,
        channels=line.account.channels,
        width=len(own.kept),
        removed=_path([0.0] * len(height), height),
        kept=_path(height, both),
        cut=cut,
        low=score(own.low),
        high=score(own.high),
        threshold="" if own.threshold is None else score(own.threshold),
        others=own.others,
    )


def score(value: float) -> str:
    """A score in three digits."""
    text = f"{value:.3g}"
    return text.replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def _path(lows: Sequence[float], highs: Sequence[float]) -> str:
    """Bars from one height to another; bins of equal heights are left out."""
    pieces = [
        f"M{place}.06 {decimal(100 - low)}V{decimal(100 - high)}h.88V{decimal(100 - low)}z"
        for place, (low, high) in enumerate(zip(lows, highs, strict=True))
        if high > low
    ]
    return "".join(pieces)
