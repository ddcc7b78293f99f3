"""What pruning cost, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnxprune.evaluation.metrics import METRICS, Metric
from onnxprune.report.evaluation_terminal import spelled
from onnxprune.report.figures import plural, printable

_COMPARED = {"agreement": "agreement with the source", "sqnr": "SQNR of the outputs"}


def accuracy_lines(section: Mapping[str, Any]) -> Iterator[str]:
    """A sentence a metric, one about the samples, one about a bound on the loss.

    Args:
        section: ``accuracy`` of a report; nothing comes of an empty one.
    """
    stages = section.get("stages", {})
    if stages:
        *_, last = stages.values()
        yield "; ".join(_line(METRICS[name], stages) for name in last if name in METRICS)
        yield f"measured on {plural(section['samples'], 'sample')} held back: {printable(section['data'])}"
    if "max_drop" in section:
        yield _bound(section["max_drop"])


def _line(metric: Metric, stages: Mapping[str, Mapping[str, Any]]) -> str:
    """How one metric went: before, in between, after."""
    values = [
        spelled(metric, _number(held[metric.name]["value"]))
        for held in stages.values()
        if metric.name in held
    ]
    title = _COMPARED.get(metric.name, metric.title)
    return f"{title} {' → '.join(values)} {metric.unit}".strip()


def _bound(found: Mapping[str, Any]) -> str:
    metric = METRICS[found["metric"]]
    held = found["drop_held_back"]
    text = (
        f"--max-drop {found['bound']:g}: {metric.title} falls by {_points(found['drop'])} on the "
        f"{plural(found['samples'], 'sample')} that it was chosen by"
    )
    if held is not None:
        text += f", by {_points(held)} on those held back"
    return f"{text} ({plural(found['trials'], 'plan')} measured)"


def _points(drop: float) -> str:
    return f"{drop:.2f} points"


def _number(value: float | None) -> float:
    """A figure; infinity was written as null."""
    return float("inf") if value is None else value
