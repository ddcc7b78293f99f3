"""What a search for a latency is asked, what it tries, and what it answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Floats, Indices
from onnxprune.plan import CountsTarget, PlanOptions
from onnxprune.plan.latency import LatencyTarget
from onnxprune.runtime.latency.table import LayerTable
from onnxprune.runtime.machine import machine
from onnxprune.runtime.spread import Ratio, Timing
from onnxprune.runtime.turns import steady_clock

SECONDS = 1.0
"""A trial's usual time."""


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked.

    Attributes:
        coupling: of the model.
        scores: (units,) by group, comparable between groups.
        options: where to prune; the target in them does not count.
        target: the latency.
        threads: of ONNX Runtime.
        seed: of the inputs and the order of runs.
        cache: folder of layer times measured before, None for none.
        seconds: of timed runs in a trial, source and candidate together; more where that is too short.
    """

    coupling: Coupling
    scores: Mapping[str, Floats]
    options: PlanOptions
    target: LatencyTarget
    threads: int = 1
    seed: int = 0
    cache: Path | None = None
    seconds: float = SECONDS


@dataclass(frozen=True, eq=False)
class Trial:
    """A candidate that was measured.

    Attributes:
        counts: (groups,) kept.
        predicted: seconds by the table.
        ratio: of its latency to the source's, measured in turns.
        timing: of the candidate.
        source: of the source in the same rounds.
    """

    counts: Indices
    predicted: float
    ratio: Ratio
    timing: Timing
    source: Timing


@dataclass(frozen=True, eq=False)
class Found:
    """The answer.

    Attributes:
        target: counts that meet the bound.
        trial: the measurement of them.
        table: that they were chosen with; None where the source meets the bound.
        importance: share of the movable groups' importance that stays.
        trials: how many candidates were measured.
        limit: the bound, as a share of the source's latency.
        threads: of ONNX Runtime.
    """

    target: CountsTarget
    trial: Trial
    table: LayerTable | None
    importance: float
    trials: int
    limit: float
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """For the report."""
        return {
            "models": {"source": self.trial.source.to_dict(), "pruned": self.trial.timing.to_dict()},
            **self.trial.ratio.to_dict(),
            "threads": self.threads,
            "batch": 1,
            "clock": "wall" if steady_clock(self.threads) is time.perf_counter else "processor",
            "machine": str(machine()),
            "limit": round(self.limit, 4),
            "importance": round(self.importance, 4),
            "trials": self.trials,
            "table": self.table.to_dict() if self.table else None,
        }
