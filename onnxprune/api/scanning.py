"""Which layers can lose channels, and which cannot: each group alone, measured on data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnxprune.api.arguments import Data, Spec, globs, stages
from onnxprune.api.holding import some
from onnxprune.api.job import Job, open_job
from onnxprune.api.planning import Step, check_prunable, measure, open_model, plan_model
from onnxprune.api.settings import Settings
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.calibration import Evidence, Samples, notes_of, open_samples
from onnxprune.calibration.preprocess import Given
from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Group, Indices
from onnxprune.errors import UsageError
from onnxprune.evaluation import Evaluation, find_metrics
from onnxprune.evaluation.evaluate import BATCH, Progress
from onnxprune.evaluation.metrics import check_needs
from onnxprune.model import Model
from onnxprune.plan import RatioTarget
from onnxprune.plan.selectors import select
from onnxprune.plan.targets import parse_share
from onnxprune.report.build import describe_source
from onnxprune.sensitivity import RATIOS, HeldSamples, Scan, Sensitivity, open_cache

COUNT = 2000
"""Samples that a scan measures on where the user names no number: accuracies to about two points."""


@dataclass(frozen=True)
class ScanSettings:
    """What a scan measures, and where it keeps that.

    Attributes:
        ratios: shares of its units that each group loses.
        metric: that tables and plots show; None for accuracy, or agreement where there are no labels.
        output: name of the output with the scores of the classes.
        cache: folder of figures that were measured before; None keeps none.
    """

    ratios: tuple[str | float, ...] = RATIOS
    metric: str | None = None
    output: str | None = None
    cache: Path | None = None


def measure_sensitivity(
    model: Source,
    data: Data,
    *,
    ratios: Sequence[float] = RATIOS,
    metric: str | None = None,
    criterion: Spec | Sequence[Spec] = "l1",
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    granularity: str = "inner",
    preprocess: Given | None = None,
    samples: int | None = None,
    output: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Step | None = None,
) -> Sensitivity:
    """Prune each group of coupled channels alone, at several ratios, and measure the model each time.

    Args:
        model: as for ``prune``.
        data: samples, or where they are; labels are used where there are some.
        ratios: shares of its channels that each group loses.
        metric: that drops are told in; None for accuracy, or agreement with the whole model where there
            are no labels, or the noise of the outputs where there are no classes either.
        criterion: which channels go first, as for ``prune``.
        include: globs of layers, weights or groups; only those are scanned.
        exclude: globs of what is left out.
        granularity: as for ``prune``.
        preprocess: what is done to stored samples.
        samples: how many are taken, None for 2,000.
        output: name of the output with the scores of the classes, None for the first that can be one.
        cache: folder of figures that were measured before, which join new ones; None for none.
        seed: of every random choice.
        threads: of ONNX Runtime, None leaves the choice to it.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: model or data cannot be used, or do not fit each other.
        UsageError: an argument makes no sense.
        OutputError: the cache cannot be kept.
    """
    first, rest = stages(criterion, ())
    settings = Settings(
        ratio=0.5,
        criterion=first,
        then=rest,
        include=globs(include),
        exclude=globs(exclude),
        granularity=granularity,
        data=data,
        preprocess=preprocess,
        samples=samples,
        seed=seed,
        threads=threads,
    )
    own = ScanSettings(tuple(ratios), metric, output, None if cache is None else Path(cache))
    return scan_model(model, settings, own, progress=progress)


def scan_model(
    source: Source,
    settings: Settings,
    own: ScanSettings,
    *,
    progress: Step | None = None,
    advance: Progress | None = None,
) -> Sensitivity:
    """``measure_sensitivity`` with its arguments as settings.

    Args:
        source: the model.
        settings: criterion, groups and data; the target does not matter.
        own: what is measured.
        progress: told the name of each step.
        advance: told how far the scan is.

    Raises:
        OnnxPruneError: of the kinds that ``measure_sensitivity`` names.
    """
    step = progress or _silent
    metrics = find_metrics([] if own.metric is None else [own.metric])
    ratios, job = parse_ratios(own.ratios), open_job(settings)
    step(opening(source))
    model = open_source(source)
    step("opening samples")
    samples = _samples(settings, model)
    check_needs(metrics, labelled=samples.labelled, teacher=True)
    coupling = open_model(model, step, settings.factor)
    check_prunable(coupling.structure, model)
    held = HeldSamples(samples, BATCH)
    evidence = measure(coupling, job, step, samples=some(held, settings.seed))
    choices = choices_at(coupling, job, ratios, step, evidence=evidence)
    scan = Scan(
        coupling,
        choices,
        held,
        open_cache(own.cache, model, held.digest, own.output),
        also=() if own.metric is None else (own.metric,),
        output=own.output,
        threads=settings.threads,
    )
    step("measuring layers")
    baseline, rows = scan.run(movable(coupling, settings), progress=advance)
    shown = shown_metric(own.metric, baseline)
    about = {**describe_scan(job, samples), "grid": 1, "output": own.output}
    return Sensitivity(shown, ratios, baseline, rows, about, describe_source(model), notes_of(samples))


def _samples(settings: Settings, model: Model) -> Samples:
    """As many samples as the settings name, or the usual number."""
    count = settings.samples or (None if isinstance(settings.data, Samples) else COUNT)
    return open_samples(settings.data, model, preprocess=settings.preprocess, count=count, seed=settings.seed)


def parse_ratios(given: Iterable[str | float]) -> tuple[float, ...]:
    """Ratios, ascending, each once.

    Raises:
        UsageError: there is none, or one that is no share between 0 and 1.
    """
    found = sorted({parse_share(ratio, option="--ratios") for ratio in given} - {0.0})
    if not found:
        raise UsageError("--ratios names no share to remove.", hint="Write it as --ratios 0.25,0.5,0.75.")
    return tuple(found)


def choices_at(
    coupling: Coupling, job: Job, ratios: Iterable[float], step: Step, *, evidence: Evidence
) -> Mapping[float, Mapping[str, Indices]]:
    """What each group keeps at each ratio: the plans of the job's criterion with nothing else in play."""
    own = replace(job.settings, scope="local", scoring="independent", include=(), exclude=(), layer_ratios=())
    step("scoring channels")
    found = {}
    for ratio in ratios:
        plain = replace(job, settings=own, target=RatioTarget(ratio), grid=1)
        found[ratio] = plan_model(coupling, plain, _silent, evidence=evidence).plan.kept
    return found


def movable(coupling: Coupling, settings: Settings) -> list[Group]:
    """The groups that a scan can prune and that the user's globs leave in play."""
    structure = coupling.structure
    found = select(
        structure,
        include=settings.include,
        exclude=settings.exclude,
        layer_ratios=settings.layer_ratios,
    )
    return [g for g in structure.groups if g.name not in found.whole and g.name not in found.ratios]


def shown_metric(asked: str | None, baseline: Evaluation) -> str:
    """The metric that decides: the one asked for, or the first that says most about the task."""
    usual = ("accuracy", "agreement", "sqnr")
    return asked or next(name for name in usual if name in baseline.figures)


def describe_scan(job: Job, samples: Samples) -> dict[str, Any]:
    """The settings of a scan as its report states them."""
    about = job.to_dict()
    kept = ("version", "criterion", "criteria", "include", "exclude", "granularity", "seed", "threads")
    described = {name: about[name] for name in (*kept, "preprocess") if name in about}
    return {**described, "samples": samples.count, "data": samples.description}


def _silent(step: str) -> None:
    """Progress that nobody watches."""
