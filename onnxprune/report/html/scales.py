"""How measured figures are written and compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Protocol

from onnxprune.evaluation.metrics import Metric

_DIGITS = {"%": 2, "dB": 1}
_PLAIN_DIGITS = 4

Change = tuple[str, bool | None]
"""A change in words, and whether it is for the better; None where that is not known."""


class Scale(Protocol):
    """What a chart has to know about its figures."""

    @property
    def title(self) -> str:
        """What they are."""

    @property
    def better(self) -> str:
        """Which direction is better, in words."""

    @property
    def value(self) -> str:
        """Heading of the figures."""

    @property
    def interval(self) -> str:
        """Heading of their intervals."""

    @property
    def from_zero(self) -> bool:
        """Whether the axis begins at 0."""

    def spell(self, value: float) -> str:
        """A figure in words."""

    def mark(self, value: float) -> str:
        """A figure in few characters."""

    def change(self, before: float, after: float) -> Change:
        """What became of a figure."""


@dataclass(frozen=True)
class MetricScale:
    """Of a metric that is known."""

    metric: Metric
    value: str = "value"
    interval: str = "95 % interval"
    from_zero: bool = False

    @property
    def title(self) -> str:
        """The metric's own, as a heading."""
        return self.metric.title[:1].upper() + self.metric.title[1:]

    @property
    def better(self) -> str:
        """As the metric's loss says."""
        rises = self.metric.loss(1.0) < self.metric.loss(0.0)
        return "higher is better" if rises else "lower is better"

    def spell(self, value: float) -> str:
        """In points of the metric; a ratio to no noise at all has no end."""
        if not isfinite(value):
            return "equal" if value > 0 else "none"
        digits = _DIGITS.get(self.metric.unit, _PLAIN_DIGITS)
        return f"{self.metric.points(value):.{digits}f} {self.metric.unit}".strip()

    def mark(self, value: float) -> str:
        """In points of the metric, three digits."""
        return f"{self.metric.points(value):.3g} {self.metric.unit}".strip()

    def change(self, before: float, after: float) -> Change:
        """In points of the metric."""
        points = self.metric.points(after) - self.metric.points(before)
        if not isfinite(points) or not points:
            return "", None
        return _signed(points), self.metric.drop(before, after) < 0


@dataclass(frozen=True)
class OtherScale:
    """Of a figure about which nothing is known but its name."""

    title: str
    better: str = ""
    value: str = "value"
    interval: str = "interval"
    from_zero: bool = False

    def spell(self, value: float) -> str:
        """Four digits."""
        return f"{value:.4g}"

    def mark(self, value: float) -> str:
        """Three digits."""
        return f"{value:.3g}"

    def change(self, before: float, after: float) -> Change:
        """The difference; whether it is good nobody says."""
        own = after - before
        return (_signed(own) if isfinite(own) and own else ""), None


@dataclass(frozen=True)
class TimeScale:
    """Of durations."""

    unit: str
    interval: str = "spread"
    title: str = "Time of one run"
    better: str = "lower is better"
    value: str = "typical"
    from_zero: bool = True

    def spell(self, value: float) -> str:
        """Three digits and the unit."""
        return f"{value:.3g} {self.unit}"

    def mark(self, value: float) -> str:
        """The same."""
        return self.spell(value)

    def change(self, before: float, after: float) -> Change:
        """How many times faster or slower."""
        if not (isfinite(before) and isfinite(after) and before > 0 and after > 0) or before == after:
            return "", None
        if after < before:
            return f"{before / after:.2f}x faster", True
        return f"{after / before:.2f}x slower", False


def _signed(value: float) -> str:
    """Three digits behind a sign that is as wide as a plus."""
    return f"{value:+.3g}".replace("-", "−", 1) if value < 0 else f"{value:+.3g}"
