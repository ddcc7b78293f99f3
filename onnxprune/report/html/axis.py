"""Axes of charts: round numbers to mark, and where a value lies between the ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
"""What a step between two marks may begin with."""

BOUND = 1e300
"""Values beyond it are not drawn: their differences overflow."""


@dataclass(frozen=True)
class Axis:
    """A linear axis from one round number to another.

    Attributes:
        low: left or lower end.
        high: right or upper end, above ``low``.
        marks: round numbers in between, ends included.
    """

    low: float
    high: float
    marks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value lies, in percent of the length; values beyond an end lie on it."""
        share = (value - self.low) / (self.high - self.low)
        return 100.0 * min(max(share, 0.0), 1.0)


def axis(values: Iterable[float], *, marks: int = 4, zero: bool = False) -> Axis:
    """An axis that holds all finite values.

    Args:
        values: to be drawn; those that are not finite are left out.
        marks: about how many steps there shall be.
        zero: whether the axis begins at 0 whatever the values.
    """
    there = [float(v) for v in values if abs(v) < BOUND] or [0.0]
    low, high = min(there), max(there)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value: some room around it
        room = abs(high) * 0.1 or 1.0
        low, high = (low if zero and high else low - room), high + room
    step = _step((high - low) / marks)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return Axis(first * step, last * step, tuple(float(f"{i * step:.12g}") for i in range(first, last + 1)))


def _step(least: float) -> float:
    """The smallest round step that is not below ``least``."""
    scale = 10.0 ** floor(log10(least))
    return next(step * scale for step in STEPS if step * scale >= least * (1 - 1e-9))
