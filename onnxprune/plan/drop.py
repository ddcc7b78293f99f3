"""A bound on what pruning may cost, as a target."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from onnxprune.errors import UsageError


@dataclass(frozen=True)
class DropTarget:
    """An upper bound on the loss of a metric.

    Attributes:
        points: percent for shares such as the accuracy, nats for the log loss, percent of the power for
            noise of the outputs.
    """

    points: float

    def __str__(self) -> str:
        return f"--max-drop {self.points:g}"


def parse_drop(value: str | float) -> DropTarget:
    """The target of ``--max-drop``.

    Raises:
        UsageError: no number from 0 on.
    """
    try:
        points = float(value)
    except (TypeError, ValueError):
        points = -1.0
    if not (isfinite(points) and points >= 0):
        raise UsageError(
            f"--max-drop {value} is no loss.",
            hint="Give points of the metric: 1.0 lets the accuracy fall from 92 % to 91 %.",
        )
    return DropTarget(points)
