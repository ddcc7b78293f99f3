"""The metrics by name: what each needs, how it is written, and how it is taken batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf
from types import MappingProxyType
from typing import Protocol

from onnxprune.errors import UsageError
from onnxprune.evaluation.classification import Accuracy, BalancedAccuracy, LogLoss, TopFive
from onnxprune.evaluation.fidelity import Agreement, SignalToNoise
from onnxprune.evaluation.figure import Figure
from onnxprune.evaluation.observation import Observation


class Meter(Protocol):
    """Takes a metric over batches."""

    def add(self, seen: Observation) -> None:
        """Take one more batch in."""

    def figure(self) -> Figure:
        """The metric over everything that was added."""


def _missing_percent(share: float) -> float:
    return -100 * share


def _itself(value: float) -> float:
    return value


def _noise_percent(decibels: float) -> float:
    return float(100 * 10 ** (-decibels / 10))


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: as it is asked for.
        title: as tables call it.
        meter: makes a new meter.
        needs: ``labels``, ``teacher`` or both: what else it needs beside the model's outputs.
        classes: whether it is about an output with scores of classes.
        scale: from its own unit to the points that it is told in: 100 for shares.
        unit: of the points.
        loss: how bad a value is, in points that can be subtracted and added up.
        best: value of a model that is right, or equals its teacher.
    """

    name: str
    title: str
    meter: Callable[[], Meter]
    needs: frozenset[str]
    classes: bool = True
    scale: float = 1.0
    unit: str = ""
    loss: Callable[[float], float] = _missing_percent
    best: float = 1.0

    def points(self, value: float) -> float:
        """A figure in points: percent, nats or dB."""
        return value * self.scale

    def drop(self, before: float, after: float) -> float:
        """By how many points a figure has become worse; below 0 where it became better.

        Points are percent for shares, nats for the log loss. For the signal-to-noise ratio they are
        the power of the noise in percent of the signal's: decibels do not add up, powers do.
        """
        return self.loss(after) - self.loss(before)


_LABELS, _TEACHER = frozenset({"labels"}), frozenset({"teacher"})
_ALL = (
    Metric("accuracy", "accuracy", Accuracy, _LABELS, scale=100, unit="%"),
    Metric("top5", "top-5", TopFive, _LABELS, scale=100, unit="%"),
    Metric("balanced_accuracy", "balanced", BalancedAccuracy, _LABELS, scale=100, unit="%"),
    Metric("log_loss", "log loss", LogLoss, _LABELS, loss=_itself, best=0.0),
    Metric("agreement", "agreement", Agreement, _TEACHER, scale=100, unit="%"),
    Metric("sqnr", "SQNR", SignalToNoise, _TEACHER, classes=False, unit="dB", loss=_noise_percent, best=inf),
)
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""What can be measured, in the order of the tables."""

_USUAL = ("accuracy", "balanced_accuracy", "log_loss", "agreement", "sqnr")


def find_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of some names, each once.

    Raises:
        UsageError: there is no such metric.
    """
    return tuple(METRICS[_known(name)] for name in dict.fromkeys(names))


def default_metrics(*, labelled: bool, teacher: bool, classes: bool = True) -> tuple[Metric, ...]:
    """What is measured where nobody asks for anything: all that the data allow, but top-5.

    Args:
        labelled: whether the samples have labels.
        teacher: whether there is a model to compare with.
        classes: whether an output holds scores of classes.
    """
    given = {name for name, there in (("labels", labelled), ("teacher", teacher)) if there}
    usual = (METRICS[name] for name in _USUAL)
    return tuple(metric for metric in usual if metric.needs <= given and (classes or not metric.classes))


def check_needs(metrics: Iterable[Metric], *, labelled: bool, teacher: bool) -> None:
    """Refuse metrics that cannot be taken from what is there.

    Raises:
        UsageError: labels or a teacher are missing.
    """
    for metric in metrics:
        if "labels" in metric.needs and not labelled:
            raise UsageError(
                f"The metric {metric.name!r} needs labels, and these data have none.",
                hint="Give data with labels, or compare with the source instead: agreement, sqnr.",
            )
        if "teacher" in metric.needs and not teacher:
            raise UsageError(
                f"The metric {metric.name!r} compares with a teacher, and there is none.",
                hint="Name the model to compare with, usually the one before pruning (--teacher).",
            )


def _known(name: str) -> str:
    if name in METRICS:
        return name
    close = get_close_matches(name.lower(), METRICS, n=1, cutoff=0.5)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    raise UsageError(f"There is no metric {name!r}.", hint=f"{guess}Known: {', '.join(METRICS)}.")
