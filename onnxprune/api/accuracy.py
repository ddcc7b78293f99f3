"""What pruning cost, for the report: the model before and after, on samples that were held back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxprune.api.holding import Shares
from onnxprune.api.job import Job
from onnxprune.calibration import Samples
from onnxprune.coupling import Coupling
from onnxprune.errors import OnnxPruneError
from onnxprune.model import Model
from onnxprune.plan.drop import DropTarget

if TYPE_CHECKING:
    from onnxprune.evaluation import Evaluation

Step = Callable[[str], None]

ROUNDING = 1e-9
"""Points by which a bound may be exceeded."""


def within_bound(coupling: Coupling, job: Job, shares: Shares, step: Step) -> tuple[Job, Mapping[str, Any]]:
    """The job with counts for its target, and how they were chosen, where a loss is bounded; else the job.

    Raises:
        InputError: the model does not run on the samples.
        UsageError: something is missing that the metric needs.
    """
    if not isinstance(job.target, DropTarget):
        return job, {}
    from onnxprune.api.dropping import choose_counts  # brings ONNX Runtime with it

    choice = choose_counts(coupling, job, shares, step)
    return choice.job, choice.account


def measured_accuracy(
    source: Model,
    results: Mapping[str, Model],
    shares: Shares,
    job: Job,
    step: Step,
    *,
    bound: Mapping[str, Any],
    trained: bool = False,
) -> Mapping[str, Any]:
    """The section ``accuracy`` of a report; empty where nothing was held back and no loss is bounded.

    Args:
        source: the model before pruning, which the others are compared with.
        results: after the cut, after the repair and after training, by stage; one where there was no more.
        shares: samples.
        job: metric, output, threads.
        step: told the name of the step.
        bound: how counts were chosen for a bound on the loss; empty where none is set.
        trained: whether the result was trained, perhaps on samples that the counts were chosen by: then those
            held back say whether the bound holds.

    Raises:
        InputError: a model does not run on the samples.
        UsageError: something is missing that the metric needs.
    """
    if shares.held is None and not bound:
        return {}
    step("measuring accuracy")
    section: dict[str, Any] = {}
    *_, last = results.values()
    if shares.held is not None:
        after = results if len(results) > 1 else {"after": last}
        section = _held_back(shares.held, source, after, job)
    if bound and shares.choosing is not None:
        stages = stages_on(shares.choosing, source, {"after": last}, job)
        held = section["stages"] if section.get("stages") else None
        name = bound["metric"]
        section["max_drop"] = {
            **bound,
            "drop": _drop(stages, name),
            "drop_held_back": held and _drop(held, name),
            "trained": trained,
        }
    return section


def _held_back(held: Samples, source: Model, after: Mapping[str, Model], job: Job) -> dict[str, Any]:
    """Figures on the samples held back; that they do not fit the outputs is no reason to give up a run."""
    about = {"data": f"{held.description}; {held.count} of them held back", "samples": held.count}
    try:
        return {**about, "stages": stages_on(held, source, after, job)}
    except OnnxPruneError as exc:
        return {**about, "stages": {}, "reason": exc.message}


def missed_drop(section: Mapping[str, Any]) -> Iterator[str]:
    """The bound on the loss, where the result does not hold it on the samples that it was chosen by.

    A trained result may have seen these; it has to hold the bound on those held back.
    """
    bound = section.get("max_drop")
    if not bound:
        return
    judged = bound["drop_held_back"] if bound["trained"] else None
    drop = bound["drop"] if judged is None else judged
    if drop > bound["bound"] + ROUNDING:
        yield f"--max-drop {bound['bound']:g}: {bound['metric']} falls by {drop:.3g} points"


def drop_notes(section: Mapping[str, Any]) -> Iterator[str]:
    """What the user should know where other samples do not bear the bound out."""
    if "reason" in section:
        yield f"the accuracy was not measured: {section['reason']}"
    bound = section.get("max_drop")
    held = bound and bound["drop_held_back"]
    if bound and not bound["trained"] and held is not None and held > bound["bound"] >= bound["drop"]:
        yield (
            f"on the samples held back {bound['metric']} falls by {held:.3g} points, more than the "
            f"{bound['bound']:g} that hold on those it was chosen by; more --samples bring the two together"
        )


def stages_on(samples: Samples, source: Model, stages: Mapping[str, Model], job: Job) -> dict[str, Any]:
    """Figures by stage and metric, with the metric and the output that a job names."""
    own = job.settings
    also = () if own.metric is None else (own.metric,)
    return figures_by_stage(samples, source, stages, threads=own.threads, output=own.output_name, also=also)


def figures_by_stage(
    samples: Samples,
    source: Model,
    stages: Mapping[str, Model],
    *,
    threads: int | None = None,
    output: str | None = None,
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """Figures by stage and metric; of the source, ``before``, those that are no comparison with itself.

    Args:
        samples: to measure on.
        source: the model that the others are compared with.
        stages: models by the names that the report gives them.
        threads: of ONNX Runtime.
        output: name of the output with the scores of the classes.
        also: metrics beside the usual ones.
    """
    from onnxprune.evaluation import Evaluator, predictor  # brings ONNX Runtime with it

    teacher = predictor(source, threads=threads)
    evaluator = Evaluator(samples, also=also, teacher=teacher, output=output)
    found = {"before": _figures(evaluator.evaluate(teacher), itself=True)}
    for stage, model in stages.items():
        found[stage] = _figures(evaluator.evaluate(predictor(model, threads=threads)))
    return {stage: figures for stage, figures in found.items() if figures}


def _figures(found: Evaluation, *, itself: bool = False) -> dict[str, Any]:
    from onnxprune.evaluation import METRICS

    return {
        name: figure.to_dict()
        for name, figure in found.figures.items()
        if not (itself and "teacher" in METRICS[name].needs)
    }


def _drop(stages: Mapping[str, Mapping[str, Any]], name: str) -> float:
    """Points by which the last stage is worse than the source."""
    from onnxprune.evaluation import METRICS

    before = stages.get("before", {}).get(name, {"value": METRICS[name].best})["value"]
    *_, last = stages.values()
    return METRICS[name].drop(before, last[name]["value"])
