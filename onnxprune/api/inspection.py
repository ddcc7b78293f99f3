"""A look at a model: what is coupled to what, and what a target would come to."""

from __future__ import annotations

from collections.abc import Iterable

from onnxprune.api.planning import Step, open_model, plan_model
from onnxprune.api.settings import Job, LayerRatios, Settings, globs, open_job, pairs
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.criteria import Criterion, Score
from onnxprune.report.inspection import Inspection, describe


def inspect(
    model: Source,
    *,
    example_inputs: object = None,
    ratio: float | str | None = None,
    macs: float | str | None = None,
    params: float | str | None = None,
    size: float | str | None = None,
    criterion: str | Score | Criterion = "l1",
    scoring: str = "independent",
    scope: str = "local",
    align: str | int = "auto",
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    layer_ratio: LayerRatios = (),
    granularity: str = "inner",
    seed: int = 0,
    progress: Step | None = None,
) -> Inspection:
    """List the groups of coupled channels of a model; nothing is changed or written.

    With a target, the plan that ``prune`` would carry out with the same arguments is part of the
    answer: how many channels each group keeps, and the figures that this leads to.

    Args:
        model: as for ``prune``.
        example_inputs: as for ``prune``.
        ratio: as for ``prune``, like all that follow; without any target there is no plan.
        macs: most multiply-accumulates to keep.
        params: most parameters to keep.
        size: largest file.
        criterion: what makes a channel important.
        scoring: ``independent`` or ``greedy``.
        scope: ``local``, ``global`` or ``isomorphic``.
        align: ``auto``, ``off`` or a number.
        include: globs of what alone is cut.
        exclude: globs of what stays whole.
        layer_ratio: ratios of single layers by glob.
        granularity: ``inner`` or ``outer``: which factor of an axis is offered.
        seed: of every random choice.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: the model cannot be used.
        UsageError: an argument makes no sense.
    """
    settings = Settings(
        ratio=ratio,
        macs=macs,
        params=params,
        size=size,
        criterion=criterion,
        scoring=scoring,
        scope=scope,
        align=align,
        include=globs(include),
        exclude=globs(exclude),
        layer_ratios=pairs(layer_ratio),
        granularity=granularity,
        seed=seed,
    )
    return examine(model, settings, progress=progress, example_inputs=example_inputs)


def examine(
    model: Source, settings: Settings, *, progress: Step | None = None, example_inputs: object = None
) -> Inspection:
    """``inspect`` with its arguments as settings; any of them but the default wants a target.

    Raises:
        InputError: the model cannot be used.
        UsageError: the settings make no sense.
    """
    step = progress or (lambda _: None)
    job: Job | None = open_job(settings) if settings.asks_for_plan else None
    step(opening(model))
    coupling = open_model(open_source(model, example_inputs=example_inputs), step, settings.factor)
    plan = plan_model(coupling, job, step).plan if job else None
    return describe(coupling, plan, job.to_dict() if job else {})
