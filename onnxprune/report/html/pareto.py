"""What a cost buys: points of cost and quality, and the front that no other point beats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from markupsafe import Markup

from onnxprune.report.html.axis import axis
from onnxprune.report.html.escape import decimal
from onnxprune.report.html.page import fragment, render

ROOM = 4.0
"""Percent of the plot between two numbers that can both be read."""

FEW = 12
"""More points than this are a table that is folded when the page opens."""


@dataclass(frozen=True)
class Point:
    """A model with what it costs and how well it does.

    Attributes:
        name: what the table calls it.
        cost: along the horizontal axis.
        quality: along the vertical axis.
        source: whether it is the model that all others come from.
    """

    name: str
    cost: float
    quality: float
    source: bool = False


@dataclass(frozen=True)
class Measure:
    """An axis of the plot.

    Attributes:
        title: what is measured.
        spell: a value in words.
        rises: whether more is better.
    """

    title: str
    spell: Callable[[float], str]
    rises: bool


@dataclass(frozen=True)
class _Mark:
    number: int
    point: Point
    x: float
    y: float
    cost: str
    quality: str
    best: bool
    tagged: bool = False


def front(points: Sequence[Point], cost: Measure, quality: Measure) -> tuple[Point, ...]:
    """The points that no other beats: none is as good in both and better in one, by cost.

    Of equal points all are on it.

    Args:
        points: finite ones.
        cost: decides which direction of the cost is better.
        quality: the same of the quality.
    """
    lead = 1.0 if quality.rises else -1.0
    price = -1.0 if cost.rises else 1.0
    order = sorted(points, key=lambda p: (price * p.cost, -lead * p.quality))
    best: list[Point] = []
    for point in order:
        equal = bool(best) and (point.cost, point.quality) == (best[-1].cost, best[-1].quality)
        if not best or equal or lead * point.quality > lead * best[-1].quality:
            best.append(point)
    return tuple(best)


def pareto(points: Iterable[Point], cost: Measure, quality: Measure, *, title: str) -> Markup:
    """The plot as a piece of a page, with its points as a table behind it.

    Args:
        points: models; those without a finite cost and quality are left out.
        cost: the horizontal axis.
        quality: the vertical axis.
        title: heading of the figure.
    """
    there = [p for p in points if isfinite(p.cost) and isfinite(p.quality)]
    across, up = axis((p.cost for p in there), marks=5), axis((p.quality for p in there), marks=4)
    best = front(there, cost, quality)
    marks = [
        _Mark(
            number=number,
            point=point,
            x=across.place(point.cost),
            y=100.0 - up.place(point.quality),
            cost=cost.spell(point.cost),
            quality=quality.spell(point.quality),
            best=point in best,
        )
        for number, point in enumerate(sorted(there, key=lambda p: (p.cost, p.quality)), start=1)
    ]
    marks = _tagged(marks)
    return fragment(
        "pareto.html.j2",
        title=title,
        few=FEW,
        cost=cost,
        quality=quality,
        marks=marks,
        drawn=sorted(marks, key=lambda mark: (mark.point.source, mark.best)),
        line=_staircase([mark for mark in marks if mark.best], drops_first=cost.rises),
        across=[(across.place(m), cost.spell(m)) for m in across.marks],
        up=[(up.place(m), quality.spell(m)) for m in up.marks],
    )


def pareto_page(plots: Sequence[Markup], *, title: str, about: str, version: str) -> str:
    """Plots as a page of their own, in the form of the reports.

    Args:
        plots: as ``pareto`` makes them.
        title: heading of the page.
        about: a sentence below it.
        version: of the package.
    """
    return render("pareto_page.html.j2", plots=plots, title=title, about=about, version=version)


def _tagged(marks: Sequence[_Mark]) -> list[_Mark]:
    """The marks with numbers beside the notable ones, as far as there is room for them."""
    found: list[_Mark] = []
    for mark in marks:
        notable = mark.best or mark.point.source
        room = not any(
            abs(mark.x - own.x) < ROOM and abs(mark.y - own.y) < ROOM for own in found if own.tagged
        )
        found.append(replace(mark, tagged=notable and room))
    return found


def _staircase(best: Sequence[_Mark], *, drops_first: bool) -> str:
    """What can be had at each cost: a step at every point of the front.

    Args:
        best: points of the front by cost.
        drops_first: where more cost is better, what lies between two points is worth the second one.
    """
    if not best:
        return ""
    pieces = [f"M{decimal(best[0].x)} {decimal(best[0].y)}"]
    for mark in best[1:]:
        x, y = decimal(mark.x), decimal(mark.y)
        pieces.append(f"V{y}H{x}" if drops_first else f"H{x}V{y}")
    return "".join(pieces)
