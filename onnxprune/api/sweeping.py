"""Many ways of pruning one model, tried by any number of processes, and which of them no other beats."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from onnxprune.api.arguments import Data, globs
from onnxprune.api.holding import Shares, open_shares
from onnxprune.api.job import open_job
from onnxprune.api.planning import check_prunable, open_model
from onnxprune.api.settings import Settings
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.api.timing import SECONDS
from onnxprune.api.trials import Run, SweepSettings
from onnxprune.api.workshop import check_layers, job_of
from onnxprune.calibration.preprocess import Given
from onnxprune.coupling import Coupling
from onnxprune.errors import InputError, UsageError
from onnxprune.evaluation.evaluate import BATCH
from onnxprune.sensitivity import HeldSamples
from onnxprune.sweep.document import Sweep
from onnxprune.sweep.space import NONE, Config, make_space
from onnxprune.sweep.study import GRID, check_sampler, check_trials


def run_sweep(
    model: Source,
    data: Data,
    *,
    output: str | os.PathLike[str],
    ratios: Sequence[float | str] | str = (),
    macs: Sequence[str] = (),
    criteria: Sequence[str] | None = None,
    repairs: Sequence[str] = ("auto",),
    quantize: Sequence[str] = (NONE,),
    layers: Sequence[str] = (),
    trials: int | None = None,
    sampler: str | None = None,
    storage: str | None = None,
    scope: str | None = None,
    align: str | int = "auto",
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    preprocess: Given | None = None,
    samples: int | None = None,
    holdout: int | None = None,
    metric: str | None = None,
    output_name: str | None = None,
    ranges: str = "minmax",
    latency: bool = True,
    seconds: float = SECONDS,
    seed: int = 0,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> Sweep:
    """Try every combination of some lists, or a sample of them, and mark the results that no other beats.

    A call that is repeated adds only what is missing; several processes that name the same folder, or the
    same storage, share the work.

    Args:
        model: as for ``prune``.
        data: samples; criteria and repairs read some, and others are held back to judge the results.
        output: folder of the models, the study, and the steps that ways of pruning share.
        ratios: shares of the filters that go, or ``"0.1:0.7"`` for all between, which takes ``trials``.
        macs: budgets beside them, as ``prune`` takes them.
        criteria: names; None for the usual one.
        repairs: names, ``none`` among them where wanted.
        quantize: ``none``, ``int8``, ``fp16``.
        layers: globs of layers; every combination of them is pruned, and nothing else.
        trials: how many ways the study shall hold; None for the whole grid.
        sampler: who chooses: ``grid``, ``tpe``, ``nsga2``, ``random``; None for ``grid``, or ``tpe`` where
            there are ``trials``.
        storage: URL of a database of Optuna, or path of a journal; None for a journal in the folder.
        scope: as for ``prune``, like all up to ``exclude``.
        align: multiple of channel counts.
        include: globs of what is pruned.
        exclude: globs of what is not.
        preprocess: what is done to stored samples.
        samples: how many are fitted to, None for 512.
        holdout: how many others results are judged by, None for 200 to 1,000.
        metric: quality; None for accuracy, or agreement where there are no labels.
        output_name: output with the scores of the classes.
        ranges: how int8 reads ranges: ``minmax``, ``entropy``, ``percentile``.
        latency: whether it is measured, in turns with the source.
        seconds: of the timed runs of each model and the source.
        seed: of every random choice.
        threads: of ONNX Runtime; latency is measured with one unless it is given.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: model or data cannot be used.
        UsageError: an argument makes no sense, or the folder holds something else.
        OutputError: results cannot be kept.
        MissingExtraError: Optuna is not installed.
    """
    settings = Settings(
        scope=scope,
        align=align,
        include=globs(include),
        exclude=globs(exclude),
        data=data,
        preprocess=preprocess,
        samples=samples,
        holdout=holdout,
        metric=metric,
        output_name=output_name,
        ranges=ranges,
        seed=seed,
        threads=threads,
    )
    space = make_space(
        ratios=ratios,
        macs=macs,
        criteria=(str(settings.spec),) if criteria is None else criteria,
        repairs=repairs,
        quantize=quantize,
        layers=layers,
    )
    chosen = sampler or (GRID if trials is None else "tpe")
    own = SweepSettings(space, Path(output), trials, chosen, storage, latency, seconds)
    return sweep_model(model, settings, own, progress=progress)


def sweep_model(
    source: Source, settings: Settings, own: SweepSettings, *, progress: Callable[[str], None] | None = None
) -> Sweep:
    """``run_sweep`` with its arguments as settings.

    Args:
        source: the model.
        settings: what all ways of pruning have in common.
        own: what is tried.
        progress: told the name of each step, and the trials where it has a method ``trial``.

    Raises:
        OnnxPruneError: of the kinds that ``run_sweep`` names.
    """
    step = progress or _silent
    _check(settings, own)
    step(opening(source))
    model = open_source(source)
    coupling = open_model(model, step, settings.factor)
    check_prunable(coupling.structure, model)
    for glob in own.space.layers:
        check_layers(coupling, Config("ratio", "0.5", "l1", NONE, NONE, (glob,)), settings)
    check_layers(coupling, Config("ratio", "0.5", "l1", NONE, NONE), settings)
    shares = _shares(coupling, settings, step)
    return Run(coupling, shares, settings, own, step).run()


def _check(settings: Settings, own: SweepSettings) -> None:
    """Refuse what makes no sense before anything is opened.

    Raises:
        UsageError: an unknown name, a number out of range, or options that contradict each other.
        MissingExtraError: Optuna is not installed.
    """
    check_sampler(own.sampler)
    check_trials(own.trials)
    space = own.space
    if settings.data is None:
        raise UsageError("A sweep needs samples to measure on.", hint="Give some with --data.")
    if not own.seconds >= 0:
        raise UsageError(f"--seconds {own.seconds} is no time.", hint="Give 0 or more.")
    if own.sampler != GRID and own.trials is None:
        raise UsageError(f"--sampler {own.sampler} needs a number of trials.", hint="Add --trials 30.")
    if space.layers and settings.include:
        raise UsageError("--layers and --include both say what is pruned.", hint="Leave --include out.")
    if settings.holdout == 0:
        raise UsageError("Without samples held back no result can be judged.", hint="Leave --holdout out.")
    amounts = space.amounts or (("ratio", f"{share:g}") for share in space.span or ())
    for target, amount in amounts:
        for criterion in space.criteria:
            for repair in space.repairs:
                for quantize in space.quantize:
                    job_of(settings, Config(target, amount, criterion, repair, quantize))


def _shares(coupling: Coupling, settings: Settings, step: Callable[[str], None]) -> Shares:
    """The samples, each known by what they contain and held in memory where they fit."""
    job = open_job(replace(settings, ratio=0.5))
    shares = open_shares(job, coupling, step)
    if shares.held is None or shares.fitting is None:
        raise InputError("There are too few samples to hold some back.", hint="Give more samples.")
    fitting, held = HeldSamples(shares.fitting, BATCH), HeldSamples(shares.held, BATCH)
    return Shares(fitting, fitting, held)


def _silent(step: str) -> None:
    """Progress that nobody watches."""
