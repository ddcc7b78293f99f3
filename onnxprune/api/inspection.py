"""A look at a model: what is coupled to what, and what a target would come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onnxprune.api.arguments import Data, LayerRatios, Spec, globs, pairs, stages
from onnxprune.api.data import samples_of
from onnxprune.api.job import Job, open_job
from onnxprune.api.planning import Step, open_model, plan_model
from onnxprune.api.settings import Settings
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.calibration.preprocess import Given
from onnxprune.report.inspection import Inspection, describe


def inspect(
    model: Source,
    *,
    example_inputs: object = None,
    ratio: float | str | None = None,
    macs: float | str | None = None,
    params: float | str | None = None,
    size: float | str | None = None,
    latency: float | str | None = None,
    speedup: float | str | None = None,
    criterion: Spec | Sequence[Spec] | None = None,
    then: Spec | Sequence[Spec] = (),
    scoring: str = "independent",
    scope: str | None = None,
    align: str | int = "auto",
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    layer_ratio: LayerRatios = (),
    granularity: str = "inner",
    data: Data | None = None,
    preprocess: Given | None = None,
    samples: int | None = None,
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
        latency: longest run on this machine, which is then measured.
        speedup: the same the other way round.
        criterion: what makes a channel important.
        then: criteria that look at what those before them have left.
        scoring: ``independent`` or ``greedy``.
        scope: ``local``, ``global`` or ``isomorphic``.
        align: ``auto``, ``off`` or a number.
        include: globs of what alone is cut.
        exclude: globs of what stays whole.
        layer_ratio: ratios of single layers by glob.
        granularity: ``inner`` or ``outer``: which factor of an axis is offered.
        data: samples to measure the model on, for criteria that need it.
        preprocess: what is done to stored samples.
        samples: how many are taken, 512 by default.
        seed: of every random choice.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: the model cannot be used.
        UsageError: an argument makes no sense.
    """
    first, rest = stages(criterion, then)
    settings = Settings(
        ratio=ratio,
        macs=macs,
        params=params,
        size=size,
        latency=latency,
        speedup=speedup,
        criterion=first,
        then=rest,
        scoring=scoring,
        scope=scope,
        align=align,
        include=globs(include),
        exclude=globs(exclude),
        layer_ratios=pairs(layer_ratio),
        granularity=granularity,
        data=data,
        preprocess=preprocess,
        samples=samples,
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
    opened = open_source(model, example_inputs=example_inputs)
    coupling = open_model(opened, step, settings.factor)
    samples = samples_of(settings, opened, step) if job else None
    plan = plan_model(coupling, job, step, samples=samples).plan if job else None
    return describe(coupling, plan, job.to_dict() if job else {})
