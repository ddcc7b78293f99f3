"""What a scan found: a curve for every group of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from onnxprune.evaluation import METRICS, Evaluation, Figure

How = Literal["masked", "pruned"]
"""How the points of a group were taken: by masks in one session, or by surgery for each of them."""


@dataclass(frozen=True)
class Point:
    """The model with some units of one group removed.

    Attributes:
        ratio: share of the units that was asked to go.
        kept: units that stay.
        macs: share of the model's multiply-accumulates that stays.
        figures: metric name -> value with its confidence interval.
    """

    ratio: float
    kept: int
    macs: float
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON has it."""
        figures = {name: figure.to_dict() for name, figure in self.figures.items()}
        return {"ratio": self.ratio, "kept": self.kept, "macs": self.macs, "metrics": figures}


@dataclass(frozen=True)
class Row:
    """The curve of one group.

    Attributes:
        group: its name.
        layers: the layers whose filters go together, in graph order.
        weight: name of the first layer's weight, which may say more than its own.
        channels: units that could be removed.
        macs: share of the model's multiply-accumulates that would go with all of them.
        points: in the order of the ratios.
        how: how they were taken.
        note: why masks did not do, where they did not.
    """

    group: str
    layers: tuple[str, ...]
    weight: str
    channels: int
    macs: float
    points: tuple[Point, ...]
    how: How = "masked"
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON has it."""
        return {
            "group": self.group,
            "layers": list(self.layers),
            "weight": self.weight,
            "channels": self.channels,
            "macs": self.macs,
            "how": self.how,
            "note": self.note,
            "points": [point.to_dict() for point in self.points],
        }


@dataclass(frozen=True)
class Sensitivity:
    """How a metric falls when each group alone is pruned.

    Attributes:
        metric: the one that tables and plots show.
        ratios: that were asked for.
        baseline: the whole model on the same samples.
        rows: one a group, in graph order.
        settings: what decides the result, for the report.
        source: the model: path, digest.
        notes: what the user should know.
    """

    metric: str
    ratios: tuple[float, ...]
    baseline: Evaluation
    rows: tuple[Row, ...]
    settings: Mapping[str, Any]
    source: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def drop(self, point: Point) -> float:
        """By how many points of the metric the model is worse than the whole one."""
        return METRICS[self.metric].drop(self.baseline[self.metric], point.figures[self.metric].value)

    def to_dict(self) -> dict[str, Any]:
        """The result as one JSON object."""
        rows = [{**row.to_dict(), "drops": [self.drop(point) for point in row.points]} for row in self.rows]
        return {
            "schema": SCHEMA,
            "source": dict(self.source),
            "settings": dict(self.settings),
            "metric": self.metric,
            "ratios": list(self.ratios),
            "baseline": self.baseline.to_dict(),
            "groups": rows,
            "notes": list(self.notes),
        }


SCHEMA = 1
"""Raised when a reader of older results could misread a newer one."""
