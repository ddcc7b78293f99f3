"""Quantiles of run times, how sure they are, and whether one model is faster than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprune.coupling.groups import Floats

LEVEL = 0.95
"""Probability that an interval is said to hold."""

RESAMPLES = 400
"""Of the bootstrap. Rounds are drawn, not runs: those of one visit depend on each other."""

MOST_VALUES = 2_000_000
"""Values that are sorted in one go."""

NOISE = 0.02
"""Differences up to this share are not told apart from where a session's memory happens to lie."""

SAMPLES = 200
"""Single measurements that a report lists at most."""

FASTER, SLOWER, SAME = "faster", "slower", "within noise"
_QUANTILES = (50, 90, 99)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Timing:
    """Run times of one model, in seconds.

    Attributes:
        quantiles: 50, 90, 99 -> value.
        intervals: of the same, at ``LEVEL``.
        mean: of all runs.
        rounds: how many.
        runs: in all rounds together.
        samples: medians of rounds, at most ``SAMPLES`` of them.
    """

    quantiles: dict[int, float]
    intervals: dict[int, Interval]
    mean: float
    rounds: int
    runs: int
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The latency that is compared."""
        return self.quantiles[50]

    def to_dict(self) -> dict[str, Any]:
        """Milliseconds under keys that say so."""
        found: dict[str, Any] = {}
        for q, value in self.quantiles.items():
            found[f"p{q}_ms"] = _ms(value)
            found[f"p{q}_interval_ms"] = [_ms(end) for end in self.intervals[q]]
        found["mean_ms"] = _ms(self.mean)
        found["rounds"], found["runs"] = self.rounds, self.runs
        found["samples_ms"] = [_ms(value) for value in self.samples]
        return found


@dataclass(frozen=True)
class Ratio:
    """The latency of a model as a multiple of that of another.

    Attributes:
        value: median over rounds.
        interval: at ``LEVEL``.
    """

    value: float
    interval: Interval

    @property
    def verdict(self) -> str:
        """``faster``, ``slower``, or ``within noise``."""
        low, high = self.interval
        if low <= 1.0 <= high or abs(self.value - 1.0) <= NOISE:
            return SAME
        return FASTER if self.value < 1.0 else SLOWER

    def to_dict(self) -> dict[str, Any]:
        """The object of the JSON reports."""
        return {
            "ratio": round(self.value, 4),
            "ratio_interval": [round(end, 4) for end in self.interval],
            "verdict": self.verdict,
        }


def timing(seconds: Floats, *, seed: int = 0) -> Timing:
    """Quantiles of run times and their intervals.

    Args:
        seconds: (rounds, runs in a visit).
        seed: of the bootstrap.
    """
    medians = np.median(seconds, axis=1)
    spread = _resampled(seconds, seed)
    ends = [50 - 50 * LEVEL, 50 + 50 * LEVEL]
    intervals = {
        q: (float(low), float(high))
        for q, (low, high) in zip(_QUANTILES, np.percentile(spread, ends, axis=0).T, strict=True)
    }
    stride = -(-len(medians) // SAMPLES)
    return Timing(
        quantiles={q: float(np.percentile(seconds, q)) for q in _QUANTILES},
        intervals=intervals,
        mean=float(seconds.mean()),
        rounds=len(seconds),
        runs=seconds.size,
        samples=tuple(medians[::stride].tolist()),
    )


def ratio(seconds: Floats, reference: Floats, *, seed: int = 0) -> Ratio:
    """How much of the reference's time a model takes, compared round by round.

    Args:
        seconds: (rounds, runs in a visit).
        reference: (rounds, any) of the other model in the same rounds.
        seed: of the bootstrap.
    """
    paired = np.median(seconds, axis=1) / np.median(reference, axis=1)
    drawn = np.random.default_rng(seed).integers(0, len(paired), (RESAMPLES, len(paired)))
    low, high = np.percentile(np.median(paired[drawn], axis=1), [50 - 50 * LEVEL, 50 + 50 * LEVEL])
    return Ratio(float(np.median(paired)), (float(low), float(high)))


def _resampled(seconds: Floats, seed: int) -> Floats:
    """The quantiles of ``RESAMPLES`` draws of rounds, (draws, quantiles)."""
    generator = np.random.default_rng(seed)
    at_once = max(1, MOST_VALUES // seconds.size)
    found = []
    for start in range(0, RESAMPLES, at_once):
        draws = min(at_once, RESAMPLES - start)
        drawn = seconds[generator.integers(0, len(seconds), (draws, len(seconds)))]
        found.append(np.percentile(drawn.reshape(draws, -1), _QUANTILES, axis=1).T)
    return np.concatenate(found)


def _ms(seconds: float) -> float:
    return float(f"{1e3 * seconds:.5g}")
