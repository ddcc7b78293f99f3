"""A measured figure and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan, sqrt
from typing import Any

import numpy as np

from onnxprune.model.constants import Array

Z = 1.959964
"""Half the width of a 95 % interval in standard errors."""


@dataclass(frozen=True)
class Figure:
    """A metric on some samples.

    Attributes:
        value: of the metric, in its own unit: shares from 0 to 1, nats, dB.
        low: lower end of the 95 % confidence interval.
        high: upper end of it.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        """Value and interval."""
        return {"value": self.value, "interval": [self.low, self.high]}


def share(hits: int, count: int) -> Figure:
    """A share of successes with its score interval (Wilson 1927), right near 0 and 1 too."""
    if not count:
        return Figure(nan, nan, nan)
    p, z2 = hits / count, Z * Z / count
    middle = (p + z2 / 2) / (1 + z2)
    half = Z / (1 + z2) * sqrt(p * (1 - p) / count + z2 / (4 * count))
    # at 0 and 1 one end is the value itself, and rounding must not push it past
    return Figure(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def mean(values: Array) -> Figure:
    """A mean over samples, (samples,), with its interval from the standard error."""
    if not len(values):
        return Figure(nan, nan, nan)
    value = float(np.mean(values))
    error = float(np.std(values, ddof=1) / sqrt(len(values))) if len(values) > 1 else inf
    return spread(value, error)


def spread(value: float, error: float, *, least: float = -inf, most: float = inf) -> Figure:
    """A value with the interval that a standard error gives, within what the metric can be."""
    return Figure(value, max(least, value - Z * error), min(most, value + Z * error))
