"""The course of trainings: loss and metric by epoch, one training behind the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from onnxprune.evaluation.metrics import METRICS
from onnxprune.report.document import Report
from onnxprune.report.evaluation_terminal import spelled
from onnxprune.report.html.axis import axis
from onnxprune.report.html.escape import decimal
from onnxprune.report.training_text import Row, stage_name, steps_table, training_lines


@dataclass(frozen=True)
class Curve:
    """One figure over the epochs.

    Attributes:
        title: what it is, with its unit.
        line: path of the figures, 100 wide and 100 high; trainings are not joined.
        points: (x, y, words) of single epochs, where they are few enough to be told apart.
        best: (x, y) of the epochs that were kept.
        across: (percent, epoch) along the horizontal axis.
        up: (percent, words) along the vertical one.
        borders: percent of the width where one training ends and the next begins.
    """

    title: str
    line: str
    points: tuple[tuple[float, float, str], ...]
    best: tuple[tuple[float, float], ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    borders: tuple[float, ...]


@dataclass(frozen=True)
class Training:
    """The section about steps and training.

    Attributes:
        lines: a sentence a training.
        curves: of metric and loss.
        steps: a heading and a row a step; empty where there was one.
        epochs: a row an epoch: stage, epoch, learning rate, loss, metric, seconds.
        metric: heading of the metric.
        kept: rows of ``epochs`` whose weights were kept.
    """

    lines: tuple[str, ...]
    curves: tuple[Curve, ...]
    steps: tuple[Row, ...]
    epochs: tuple[Row, ...]
    metric: str
    kept: frozenset[int]


def training(report: Report) -> Training:
    """The section of ``report.training`` and ``report.steps``."""
    stages = report.training
    steps = tuple(steps_table(report))
    lines = tuple(text[:1].upper() + text[1:] for text in training_lines(stages))
    if not stages:
        return Training(lines, (), steps, (), "", frozenset())
    metric = METRICS[stages[0]["metric"]]
    title = f"{metric.title} on the validation data, {metric.unit}"
    curves = (
        _curve(stages, "metric", title, metric.points, lambda value: f"{value:.4g}"),
        _curve(stages, "loss", "loss on the training data", lambda value: value, lambda v: f"{v:.3g}"),
    )
    rows, kept = _rows(stages)
    return Training(
        lines, tuple(c for c in curves if c.line), steps, rows, f"{metric.title} {metric.unit}", kept
    )


def _rows(stages: Sequence[Mapping[str, Any]]) -> tuple[tuple[Row, ...], frozenset[int]]:
    rows: list[Row] = []
    kept = set()
    for own in stages:
        metric = METRICS[own["metric"]]
        for place, epoch in enumerate(own["history"]):
            if place == own["best"]:
                kept.add(len(rows))
            rows.append(
                (
                    stage_name(own).removesuffix(", "),
                    str(place) if place else "start",
                    f"{epoch['lr']:.2g}" if place else "",
                    "" if _missing(epoch["loss"]) else f"{epoch['loss']:.4f}",
                    "" if _missing(epoch["metric"]) else spelled(metric, epoch["metric"]),
                    f"{epoch['seconds']:.1f}",
                )
            )
    return tuple(rows), frozenset(kept)


@dataclass(frozen=True)
class _Spot:
    """A figure of one epoch: its training, its number there, its place in the chart, and itself."""

    training: int
    epoch: int
    x: float
    y: float
    value: float


def _curve(
    stages: Sequence[Mapping[str, Any]],
    key: str,
    title: str,
    scaled: Callable[[float], float],
    spell: Callable[[float], str],
) -> Curve:
    """A figure of every epoch; the start of a training stands where the one before has ended."""
    ends = [0]
    for own in stages:
        ends.append(ends[-1] + max(len(own["history"]) - 1, 0))
    wide = max(ends[-1], 1)
    found = [
        (place, number, 100.0 * (start + number) / wide, scaled(epoch[key]))
        for place, (own, start) in enumerate(zip(stages, ends, strict=False))
        for number, epoch in enumerate(own["history"])
        if not _missing(epoch[key])
    ]
    up = axis((value for *_, value in found), marks=4)
    spots = [_Spot(place, number, x, 100.0 - up.place(value), value) for place, number, x, value in found]
    across = axis([0, wide], marks=min(6, wide), zero=True)
    return Curve(
        title=title,
        line=_path(spots),
        points=tuple((s.x, s.y, f"epoch {s.epoch}: {spell(s.value)}") for s in spots),
        best=tuple((s.x, s.y) for s in spots if s.epoch == stages[s.training]["best"]),
        across=tuple((100.0 * at / wide, f"{at:g}") for at in across.marks if at <= wide and at == int(at)),
        up=tuple((up.place(mark), spell(mark)) for mark in up.marks),
        borders=tuple(100.0 * end / wide for end in ends[1:-1]),
    )


def _path(spots: Sequence[_Spot]) -> str:
    pieces, before = [], -1
    for spot in spots:
        pieces.append(f"{'L' if spot.training == before else 'M'}{decimal(spot.x)} {decimal(spot.y)}")
        before = spot.training
    return "".join(pieces)


def _missing(value: float | None) -> bool:
    return value is None or not isfinite(value)
