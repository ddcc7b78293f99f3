"""What was measured, as rows on a common axis: a dot for the figure, a line for how sure it is.

The sections ``accuracy`` and ``latency`` of a report are read leniently: a stage or a model that holds
numbers becomes a row, whatever else it holds, and what is no row is listed as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from onnxprune.evaluation.metrics import METRICS
from onnxprune.report.html.axis import axis
from onnxprune.report.html.readings import Reading, bare, plain_facts, reading, rows_of, unit_of
from onnxprune.report.html.scales import MetricScale, OtherScale, Scale, TimeScale
from onnxprune.report.latency import search_text

SAME = "within noise"
"""What a measurement says of a difference that means nothing."""

STAGES = {
    "before": "source",
    "source": "source",
    "after": "pruned",
    "pruned": "pruned",
    "after_cut": "after the cut",
    "after_repair": "after repair",
    "after_training": "after training",
}
"""How stages are called; any other goes by its own name."""


@dataclass(frozen=True)
class Row:
    """One stage or model.

    Attributes:
        title: what was measured.
        value: in words.
        change: against the first row, in words; empty where there is nothing to compare.
        good: whether the change is for the better; None where that is not known.
        interval: how sure the figure is, in words; empty where that is not known.
        at: where the figure is, percent of the axis; None where it is not finite.
        low: left end of the line, percent; None where there is none.
        high: right end of it.
        ticks: single measurements, percent.
    """

    title: str
    value: str
    change: str
    good: bool | None
    interval: str
    at: float | None
    low: float | None
    high: float | None
    ticks: tuple[float, ...]


@dataclass(frozen=True)
class Chart:
    """Rows on one axis.

    Attributes:
        title: what the figures are.
        better: which direction is better, in words.
        value: heading of the figures.
        interval: heading of the intervals.
        rows: in the order of the report.
        marks: (percent, text) along the axis.
    """

    title: str
    better: str
    value: str
    interval: str
    rows: tuple[Row, ...]
    marks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Measured:
    """A section of a report: charts, and whatever else it says as pairs of texts."""

    charts: tuple[Chart, ...]
    facts: tuple[tuple[str, str], ...]


def accuracy(section: Mapping[str, Any]) -> Measured:
    """The charts of ``report.accuracy``: one a metric, one row a stage.

    Args:
        section: stage -> metrics, a metric being a number or ``{"value", "interval"}``; the metrics may
            stand in a ``metrics`` of their own, and stages in a ``stages``.
    """
    stages, facts = rows_of(section, "stages", STAGES)
    by_metric: dict[str, list[Reading]] = {}
    for stage, held in stages.items():
        inner = held.get("metrics")
        for metric, found in (inner if isinstance(inner, Mapping) else held).items():
            own = reading(STAGES.get(stage, stage), found)
            if own is not None:
                by_metric.setdefault("accuracy" if metric == "value" else str(metric), []).append(own)
        facts |= {key: held[key] for key in ("data", "samples") if "metrics" in held and key in held}
    charts = (_chart(readings, _scale(metric)) for metric, readings in by_metric.items())
    return Measured(tuple(charts), plain_facts(facts))


def latency(section: Mapping[str, Any]) -> Measured:
    """The charts of ``report.latency``: one a setting, one row a model.

    Args:
        section: what ``bench`` gives, with a list of settings as ``results``; or only one setting: model
            -> median or mean, quantiles, and single measurements, in any of the usual spellings and with
            the unit behind the key (``median_ms``).
    """
    results = section.get("results")
    if not isinstance(results, list | tuple):
        chart, facts = _times(section)
        return Measured((chart,) if chart else (), facts)
    charts = []
    for result in filter(_is_mapping, results):
        chart, facts = _times(result)
        if chart:
            charts.append(replace(chart, title=", ".join(f"{head} {text}" for head, text in facts)))
    machine = section.get("machine")
    return Measured(tuple(charts), plain_facts(machine) if isinstance(machine, Mapping) else ())


def _times(section: Mapping[str, Any]) -> tuple[Chart | None, tuple[tuple[str, str], ...]]:
    """The chart of one setting, None where no model has a time; and what else it says."""
    models, facts = rows_of(section, "models", STAGES)
    found = (reading(STAGES.get(name, name.replace("+", " + ")), held) for name, held in models.items())
    there = [own for own in found if own is not None]
    if len(there) == 2 and not there[1].verdict:
        there[1] = replace(there[1], verdict=str(section.get("verdict", "")))
    searched = search_text(section)
    if searched:
        facts["search"] = searched
    facts |= {key: held[key] for held in models.values() for key in ("batch",) if key in held}
    told = plain_facts({bare(key): value for key, value in facts.items()})
    interval = "95 % interval" if any(own.confident for own in there) else "spread"
    return (_chart(there, TimeScale(unit_of(models.values()), interval)) if there else None), told


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _scale(metric: str) -> Scale:
    known = METRICS.get(metric)
    return OtherScale(metric.replace("_", " ")) if known is None else MetricScale(known)


def _chart(readings: Sequence[Reading], scale: Scale) -> Chart:
    ends = (end for own in readings for end in (own.value, own.low, own.high, *own.samples))
    along = axis((end for end in ends if end is not None), zero=scale.from_zero)
    rows = []
    for own in readings:
        change, good = scale.change(readings[0].value, own.value) if own is not readings[0] else ("", None)
        if own.verdict == SAME:
            change, good = own.verdict, None
        sure = own.sure
        rows.append(
            Row(
                title=own.title,
                value=scale.spell(own.value),
                change=change,
                good=good,
                interval=f"{scale.spell(sure[0])} – {scale.spell(sure[1])}" if sure else "",
                at=along.place(own.value) if isfinite(own.value) else None,
                low=along.place(sure[0]) if sure else None,
                high=along.place(sure[1]) if sure else None,
                ticks=tuple(along.place(value) for value in own.samples if isfinite(value)),
            )
        )
    marks = tuple((along.place(mark), scale.mark(mark)) for mark in along.marks)
    return Chart(scale.title, scale.better, scale.value, scale.interval, tuple(rows), marks)
