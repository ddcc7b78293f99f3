"""Trainings and steps of a pruning run in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from onnxprune.evaluation.metrics import METRICS
from onnxprune.report.document import Report
from onnxprune.report.evaluation_terminal import spelled
from onnxprune.report.figures import count, percent, plural, share

Row = tuple[str, ...]

SHOWN = ("accuracy", "agreement", "sqnr")
"""Metrics of which the first that was measured is shown for every step."""

_STAGES = ("after_cut", "after_repair", "after_training")
_HEADS = {"after_cut": "cut", "after_repair": "repaired", "after_training": "trained"}


def training_lines(stages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence a training.

    Args:
        stages: ``training`` of a report.
    """
    for own in stages:
        history, best = own["history"], own["best"]
        metric = METRICS[own["metric"]]
        first, last = (spelled(metric, _number(history[place]["metric"])) for place in (0, best))
        epochs = plural(len(history) - 1, "epoch")
        when = f"epoch {best} was kept" if best else "none was better than the start, which was kept"
        if own["stage"] == "sparsity":
            when = "the last one was kept"
        figures = f"{metric.title} {first} → {last} {metric.unit}".strip()
        seconds = sum(epoch["seconds"] for epoch in history)
        yield f"{stage_name(own)}{epochs}: {figures} on the validation data, {when} ({seconds:,.0f} s)"


def stage_name(own: Mapping[str, Any]) -> str:
    """What a training is called in front of its figures; empty for the only one."""
    stage = str(own["stage"])
    if stage == "sparsity":
        return "before the cut, "
    number = stage.removeprefix("training")
    return f"step {number}, " if number else ""


def steps_table(report: Report) -> list[Row]:
    """A heading and a row a step; empty where there was one.

    The figures are those of the report's own samples, which nothing was fitted to.
    """
    if not report.steps:
        return []
    stages = [row.get("accuracy", {}) for row in report.steps[:-1]]
    stages.append(report.accuracy.get("stages", {}))
    name = next((n for n in SHOWN if any(n in own.get(s, {}) for own in stages for s in _STAGES)), None)
    shown = [s for s in _STAGES if name and any(s in own for own in stages)]
    title = f"{METRICS[name].title} {METRICS[name].unit}".strip() if name else ""
    heads = (f"{'' if place else f'{title}, '}{_HEADS[stage]}" for place, stage in enumerate(shown))
    rows: list[Row] = [("step", "MACs", "left", "parameters", *heads)]
    for row, own in zip(report.steps, stages, strict=True):
        before, after = row["macs"]
        cells = (_cell(own.get(stage, {}), name) for stage in shown)
        rows.append(
            (str(row["step"]), count(after), percent(share(before, after)), count(row["params"]), *cells)
        )
    return rows


def _cell(held: Mapping[str, Any], name: str | None) -> str:
    return spelled(METRICS[name], _number(held[name]["value"])) if name in held and name else ""


def _number(value: float | None) -> float:
    """A figure; infinity was written as null."""
    return float("inf") if value is None else value


def asked_for(settings: Mapping[str, Any]) -> Iterator[str]:
    """What was asked for about steps and training, in a few words each."""
    sparsity, tuned = settings.get("sparsity"), settings.get("finetune")
    if sparsity:
        yield f"{sparsity['method'].replace('_', ' ')} before the cut"
    if settings.get("step_schedule"):
        steps = settings.get("steps")
        yield f"{plural(steps, 'step')}, {settings['step_schedule']}" if steps else settings["step_schedule"]
    if tuned:
        yield f"{tuned['epochs']:g} {'epoch' if tuned['epochs'] == 1 else 'epochs'} of training" + (
            " a step" if settings.get("step_schedule") else ""
        )
