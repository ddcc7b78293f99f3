"""Which results no other beats."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, ...]
"""What a result costs, each the smaller the better."""


def front(points: Sequence[Point]) -> list[bool]:
    """Whether each point is on the Pareto front: none is as good in everything and better in something.

    Of equal points all are on it.

    Args:
        points: of the same length each, smaller being better throughout.
    """
    return [not any(_beats(other, point) for other in points) for point in points]


def _beats(one: Point, other: Point) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
