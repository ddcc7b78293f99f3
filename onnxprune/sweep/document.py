"""What a sweep found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from onnxprune.evaluation import METRICS, Metric
from onnxprune.runtime.spread import SAME
from onnxprune.sweep.front import front
from onnxprune.sweep.space import NONE, Config, Outcome, Space

SCHEMA = 1
"""Raised when a reader of older results could misread a newer one."""

COSTS: Mapping[str, str] = {"latency": "latency", "macs": "MACs", "bytes": "size"}
"""What quality is weighed against, and how it is called."""

PRECISIONS = {NONE: "float32", "fp16": "float16", "int8": "int8"}
"""How the kinds of quantisation are called where numbers are compared."""


@dataclass(frozen=True)
class Row:
    """One way of pruning and what became of it.

    Attributes:
        config: the way.
        outcome: figures and files; empty where there is no result.
        reason: why there is none, empty where there is one.
        best_for: costs, keys of ``COSTS``, for which no other result is as cheap and better.
        on_front: whether no other result is as good in quality and all costs together.
    """

    config: Config
    outcome: Outcome
    reason: str = ""
    best_for: tuple[str, ...] = ()
    on_front: bool = False

    def quality(self, metric: str) -> float:
        """The value of a metric."""
        return float(self.outcome["metrics"][metric]["value"])

    def cost(self, name: str) -> float | None:
        """What it costs: latency as a multiple of the source's, MACs, bytes; None where unknown.

        A latency that cannot be told from the source's is the source's, so that noise wins nothing.
        """
        if name == "latency":
            latency = self.outcome.get("latency")
            if not latency:
                return None
            return 1.0 if latency["verdict"] == SAME else float(latency["ratio"])
        return float(self.outcome[name])

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            **self.config.to_dict(),
            "name": self.config.name,
            **self.outcome,
            "reason": self.reason,
            "best_for": list(self.best_for),
            "front": self.on_front,
        }


@dataclass(frozen=True)
class Sweep:
    """Results of a sweep.

    Attributes:
        metric: that quality is told in.
        rows: the source and its quantised copies first, then in the order of the grid, or of the trials.
        space: what was to be tried.
        settings: what decides the results, for the report.
        source: the model: path, digest.
        data: the samples that quality was measured on.
        samples: how many.
        folder: where models are.
        machine: that latency was measured on; empty where it was not.
        notes: what the user should know.
    """

    metric: str
    rows: tuple[Row, ...]
    space: Space
    settings: Mapping[str, Any]
    source: Mapping[str, Any]
    data: str
    samples: int
    folder: str
    machine: str = ""
    notes: tuple[str, ...] = ()

    @property
    def done(self) -> tuple[Row, ...]:
        """Rows with a result."""
        return tuple(row for row in self.rows if not row.reason)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows without one."""
        return tuple(row for row in self.rows if row.reason)

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that were measured of every result."""
        return tuple(name for name in COSTS if all(row.cost(name) is not None for row in self.done))

    def to_dict(self) -> dict[str, Any]:
        """The result as one JSON object."""
        return {
            "schema": SCHEMA,
            "source": dict(self.source),
            "settings": dict(self.settings),
            "space": self.space.to_dict(),
            "metric": self.metric,
            "data": self.data,
            "samples": self.samples,
            "folder": self.folder,
            "machine": self.machine,
            "rows": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
        }


def loss(metric: Metric, value: float) -> float:
    """How bad a value is: the smaller the better, and finite."""
    found = metric.loss(value)
    return found if isfinite(found) else 1e12


def marked(rows: Sequence[Row], metric: str) -> tuple[Row, ...]:
    """The rows with the Pareto fronts on them: of quality against each cost, and against all together.

    Args:
        rows: with or without results.
        metric: quality.
    """
    there = [place for place, row in enumerate(rows) if not row.reason]
    costs = [c for c in COSTS if there and all(rows[place].cost(c) is not None for place in there)]
    own = METRICS[metric]
    losses = {place: loss(own, rows[place].quality(metric)) for place in there}
    found = list(rows)
    for names in (*((cost,) for cost in costs), tuple(costs)):
        points = [(losses[place], *(rows[place].cost(name) or 0.0 for name in names)) for place in there]
        for place, best in zip(there, front(points), strict=True):
            if not best:
                continue
            row = found[place]
            joint = len(names) > 1 or len(costs) == 1
            found[place] = replace(
                row,
                best_for=row.best_for + (names if len(names) == 1 else ()),
                on_front=row.on_front or joint,
            )
    return tuple(replace(row, best_for=tuple(dict.fromkeys(row.best_for))) for row in found)


def is_plain(row: Row) -> bool:
    """Whether it is the model as it is, which the others are compared with."""
    return row.config.is_source and row.config.quantize == NONE
