"""Bounds on what was measured, for pipelines that have to fail when one is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any, TypeVar

from onnxprune.errors import UsageError
from onnxprune.evaluation import METRICS, find_metrics
from onnxprune.plan.drop import DropTarget
from onnxprune.plan.latency import LatencyTarget, parse_latency
from onnxprune.plan.targets import BudgetTarget, parse_size

Bound = TypeVar("Bound", LatencyTarget, BudgetTarget)

ROUNDING = 1e-9
"""By which a bound may be exceeded: sums of shares are not exact."""


@dataclass(frozen=True)
class MetricBound:
    """A bound on a metric.

    Attributes:
        metric: its name.
        value: in the metric's own unit: shares from 0 to 1, nats, dB.
        least: whether it is the least that is allowed; if not it is the most.
        text: as the user wrote it, with the option.
    """

    metric: str
    value: float
    least: bool
    text: str

    def holds(self, value: float) -> bool:
        """Whether a value is within it."""
        return value >= self.value - ROUNDING if self.least else value <= self.value + ROUNDING


def parse_bounds(at_least: Iterable[str], at_most: Iterable[str] = ()) -> tuple[MetricBound, ...]:
    """Bounds from ``accuracy=0.91`` or ``accuracy=91%``.

    Args:
        at_least: those from below.
        at_most: those from above, such as ``log_loss=0.3``.

    Raises:
        UsageError: not of that form, or no such metric.
    """
    lower = [_bound(text, "--at-least", least=True) for text in at_least]
    return (*lower, *(_bound(text, "--at-most", least=False) for text in at_most))


def missed_metrics(
    found: Mapping[str, Any], bounds: Sequence[MetricBound], drop: DropTarget | None = None, metric: str = ""
) -> Iterator[str]:
    """A sentence for each bound that a model misses; the one that others are compared with has none.

    Args:
        found: as ``Comparison.to_dict`` gives it.
        bounds: on metrics.
        drop: most points that ``metric`` may fall by against the first model.
        metric: its name; empty for accuracy, or agreement where there are no labels.

    Raises:
        UsageError: a metric was not measured.
    """
    rows = found["models"]
    judged = [row for row in rows if not row["reference"]] or rows
    for row in judged:
        for bound in bounds:
            value = _value(row, bound.metric)
            if not bound.holds(value):
                yield f"{bound.text}: {row['model']} has {_spelled(bound.metric, value)}"
    if drop is None:
        return
    name = metric or next(own for own in ("accuracy", "agreement", "sqnr") if own in rows[0]["metrics"])
    own = METRICS[name]
    before = own.best if "teacher" in own.needs else _value(rows[0], name)
    for row in judged:
        points = own.drop(before, _value(row, name))
        if points > drop.points + ROUNDING:
            yield f"{drop}: {name} of {row['model']} falls by {points:.3g} points"


def check_drop(drop: DropTarget | None, models: int, *, taught: bool) -> None:
    """Refuse a bound on a drop where there is no model to fall from.

    Args:
        drop: the bound, None for none.
        models: how many are measured.
        taught: whether they are compared with a teacher that is not measured itself.

    Raises:
        UsageError: there is none.
    """
    if drop is not None and (models < 2 or taught):
        raise UsageError(
            f"{drop} compares with the first of several models.",
            hint="Name the model to compare with first, then the others, without --teacher.",
        )


def parse_at_most(text: str | None) -> LatencyTarget | None:
    """A bound on latency from ``0.8x`` or ``3ms``; None of None.

    Raises:
        UsageError: not of that form.
    """
    return None if text is None else _renamed(parse_latency, text, "--latency", "--at-most")


def parse_max_size(text: str | None) -> BudgetTarget | None:
    """A bound on the size of a file from ``10MB`` or ``0.5x``; None of None.

    Raises:
        UsageError: not of that form.
    """
    return None if text is None else _renamed(parse_size, text, "--size", "--max-size")


def _renamed(parse: Callable[[str], Bound], text: str, before: str, now: str) -> Bound:
    """A target of pruning as a bound, under the name of its own option."""
    try:
        return replace(parse(text), option=now)
    except UsageError as exc:
        raise UsageError(exc.message.replace(before, now), hint=exc.hint) from exc


def check_relative(models: int, *bounds: LatencyTarget | BudgetTarget | None) -> None:
    """Refuse a share of the first model where there is no other.

    Raises:
        UsageError: there is none.
    """
    for bound in bounds:
        if bound is None:
            continue
        share = bound.relative if isinstance(bound, LatencyTarget) else not bound.scale
        if share and models < 2:
            raise UsageError(
                f"{bound} is a share of the first model, and there is no other.",
                hint="Name the model to compare with first, or give an absolute bound.",
            )


def missed_costs(
    found: Mapping[str, Any], latency: LatencyTarget | None, size: BudgetTarget | None
) -> Iterator[str]:
    """A sentence for each bound that a model misses; of several the first is what others are compared with.

    A latency is over its bound where the whole 95 % interval is: noise fails no pipeline.

    Args:
        found: as ``Benchmark.to_dict`` gives it.
        latency: at every setting.
        size: of the files.
    """
    first, *others = found["models"]
    for row in others or [first]:
        if size is not None and row["bytes"] > size.limit(first["bytes"]) * (1 + ROUNDING):
            yield f"{size}: {row['model']} has {size.spell(row['bytes'], first['bytes'], up=True)}"
    for result in found["results"] if latency is not None else ():
        _, *behind = result["models"]
        for row in behind or result["models"]:
            yield from _late(row, result, latency)


def _late(row: Mapping[str, Any], result: Mapping[str, Any], latency: LatencyTarget | None) -> Iterator[str]:
    if latency is None:
        return
    name = "ratio" if latency.relative else "p50_ms"
    low = row["ratio_interval" if latency.relative else "p50_interval_ms"][0]
    if low > latency.amount * (1.0 if latency.relative else 1e3):
        told = f"{row[name]:.3g}{'x' if latency.relative else ' ms'}"
        where = f"--threads {result['threads']}, batch {row['batch']}"
        yield f"{latency}: {row['model']} takes {told} with {where}"


def _bound(text: str, option: str, *, least: bool) -> MetricBound:
    name, equals, number = (part.strip() for part in text.partition("="))
    share = number.endswith("%")
    try:
        value = float(number.removesuffix("%")) / (100 if share else 1)
    except ValueError:
        value = inf
    if not equals or not isfinite(value):
        raise UsageError(
            f"{option} {text} is no bound.",
            hint=f"Write it as {option} {'accuracy=0.91' if least else 'log_loss=0.3'}.",
        )
    (metric,) = find_metrics([name])
    if metric.unit == "%" and not 0 <= value <= 1:
        raise UsageError(f"{option} {text} is no share.", hint=f"Write it as {name}=0.91 or {name}=91%.")
    return MetricBound(metric.name, value, least, f"{option} {text}")


def _value(row: Mapping[str, Any], name: str) -> float:
    if name not in row["metrics"]:
        raise UsageError(
            f"There is no {name} of {row['model']} to bound.",
            hint=f"It needs labels, or a model to compare with; measured: {', '.join(row['metrics'])}.",
        )
    return float(row["metrics"][name]["value"])


def _spelled(name: str, value: float) -> str:
    metric = METRICS[name]
    return f"{metric.points(value):.4g} {metric.unit}".strip()
