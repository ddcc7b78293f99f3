"""The main job: from a model to a smaller one and the account of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from onnxprune.api.arguments import Data, LayerRatios, Spec, globs, pairs, stages
from onnxprune.api.job import open_job
from onnxprune.api.running import PruneResult, run
from onnxprune.api.settings import Settings
from onnxprune.api.sources import Source
from onnxprune.api.training_settings import Finetune, as_training
from onnxprune.calibration.preprocess import Given
from onnxprune.errors import VerificationError

Progress = Callable[[str], None]
"""Told the name of each step as it begins."""


def prune(
    model: Source,
    *,
    example_inputs: object = None,
    ratio: float | str | None = None,
    macs: float | str | None = None,
    params: float | str | None = None,
    size: float | str | None = None,
    latency: float | str | None = None,
    speedup: float | str | None = None,
    max_drop: float | str | None = None,
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
    holdout: int | None = None,
    metric: str | None = None,
    output_name: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    verify: bool = True,
    bench: bool = False,
    quantize: str | None = None,
    ranges: str = "minmax",
    seed: int = 0,
    threads: int | None = None,
    repair: str | None = None,
    finetune: Finetune = None,
    train_data: Data | None = None,
    validation_data: Data | None = None,
    teacher: Source | None = None,
    steps: int | None = None,
    step_schedule: str = "linear",
    last_epochs: float | None = None,
    sparsity: str | None = None,
    sparsity_strength: float | None = None,
    sparsity_epochs: float | None = None,
    run_folder: str | os.PathLike[str] | None = None,
    restart: bool = False,
    tensorboard: bool = False,
    progress: Progress | None = None,
    output: str | os.PathLike[str] | None = None,
) -> PruneResult:
    """Remove the least important channels of a model; the source is never changed.

    At most one of ``ratio``, ``macs``, ``params``, ``size``, ``latency``, ``speedup`` and ``max_drop``
    says how much; without them thresholds of the criteria do::

        result = onnxprune.prune("resnet.onnx", ratio=0.4, output="small.onnx")
        result.report.totals["macs"]  # (before, after)

    Args:
        model: path of an ``.onnx`` file, its bytes, an ``onnx.ModelProto``, or a loaded model; also a
            Keras model, a ``torch.nn.Module``, or a file of theirs, which is converted first.
        example_inputs: what a ``torch.nn.Module`` is called with: a tensor or a tuple of them.
        ratio: share of the filters removed in every prunable layer, 0 up to but without 1. At 0
            only what the outputs do not depend on is removed: dead and duplicate channels.
        macs: most multiply-accumulates to keep: ``"0.5x"`` of the source, ``"2G"``, or a number.
        params: most parameters to keep: ``"0.5x"``, ``"1M"``, or a number.
        size: largest file: ``"10MB"``, ``"0.5x"``, or a number of bytes.
        latency: longest run in ONNX Runtime on this machine: ``"0.5x"`` of the source, or ``"3ms"``.
        speedup: the same the other way round: ``"2x"`` is ``latency="0.5x"``.
        max_drop: most points that ``metric`` may fall by on the samples: 1.0 lets an accuracy of 92 %
            become 91 %. How much each layer loses follows from its sensitivity.
        criterion: what makes a channel important: a name with options (``"l2,reduction=max"``),
            ``"package.module:function"``, or a function ``(group, weights) -> (units,)``. With a
            threshold (``"correlation:0.8"``) it says by itself what goes; several in a list follow
            each other.
        then: criteria that look only at the channels which those before them have left.
        scoring: ``independent``, or ``greedy``: without the weights that read channels removed
            from earlier layers (Li et al. 2017, arXiv 1608.08710).
        scope: ``local`` ranks within each layer, ``global`` over the model, ``isomorphic`` over
            layers of the same structure.
        align: ``auto`` keeps channel counts at which this machine is fast, ``off``, or a number.
        include: globs of layers, weights or groups; only those are cut.
        exclude: globs of layers, weights or groups that stay whole.
        layer_ratio: ratios of single layers by glob; the last match counts.
        granularity: ``inner`` removes dimensions within attention heads and channels within
            convolution groups, ``outer`` whole heads and whole groups.
        data: calibration samples, for criteria and repairs that measure the model: an ``.npz`` file, a
            folder of images, ``"package.module:function"``, an array, a dict of arrays by input name, a
            pair of one of these and labels, or ``Samples``.
        preprocess: what is done to stored samples before they are fed, such as ``"scale=1/255"``, or
            the path of a ``.toml`` file.
        samples: how many are taken, 512 by default, 2,000 with ``max_drop``; the seed decides which.
        holdout: samples beside these that nothing is fitted to, and that ``report.accuracy`` is measured
            on; None for 200 to 1,000 by the size of the model, 2,000 with ``max_drop``; 0 for none.
        metric: what ``max_drop`` bounds; None for the accuracy, or the agreement with the source where
            there are no labels, or the noise of the outputs where there are no classes either.
        output_name: output with the scores of the classes, None for the first that can be one.
        cache: folder in which ``max_drop`` and ``latency`` keep what they measure of single layers; None
            for none.
        verify: compare the result with the masked source on random inputs before it is written.
        bench: measure the result against the source; ``report.missed`` says where it is slower.
        quantize: ``int8`` or ``fp16``: make a quantised copy of the result too, written beside it.
        ranges: of its activations: ``minmax``, ``entropy`` or ``percentile``.
        seed: of every random choice.
        threads: of ONNX Runtime, None leaves the choice to it.
        repair: ``none``, or how the weights that are left make up for those that went: ``merge``,
            ``bias``, ``lstsq``, ``obs``, or ``auto`` for the strongest that the data allow. By default
            ``auto`` where there are data, else ``none``.
        finetune: epochs of training behind the repair of each step, or a dict of the fields of
            ``TrainSettings``: ``{"epochs": 5, "lr": 0.01, "augment": "cifar"}``. Needs torch.
        train_data: samples to train on; None for all of ``data``. Those that accuracy is measured on are kept
            out of them.
        validation_data: samples to choose the best epoch by; None for a tenth of those to train on.
        teacher: model whose outputs are learned beside the labels, or without any; None for the source.
        steps: how many times to prune, repair and train until the target is reached.
        step_schedule: ``linear`` or ``geometric`` in the share of the channels left, or ``layerwise``: groups
            take turns (by default one a step), each cut at once (Li et al. 2017).
        last_epochs: of the training behind the last step; None for those of ``finetune``.
        sparsity: training before the cut: ``group_lasso`` on all units of the layers that are to be cut, or
            ``growing`` regularisation of those that are to go.
        sparsity_strength: factor of its penalty; None for the usual one of the method.
        sparsity_epochs: of it, 5 by default.
        run_folder: folder by which a run that was stopped is gone on with.
        restart: throw away what an equal run has left there.
        tensorboard: write metrics of the training for TensorBoard there too.
        progress: called with the name of each step as it begins.
        output: where to write; nothing is written without it.

    Raises:
        InputError: the model cannot be used, nothing in it can be pruned, or the samples do not fit it.
        UsageError: an argument makes no sense.
        TargetError: the budget is out of reach.
        OutputError: the output cannot be written.
        VerificationError: the result is wrong; nothing was written.
        MissingExtraError: training needs torch, and it is not installed.
        Stopped: a signal has stopped training; the same call with its ``run_folder`` goes on there.
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
        max_drop=max_drop,
        holdout=holdout,
        metric=metric,
        output_name=output_name,
        cache=cache,
        verify=verify,
        bench=bench,
        quantize=quantize,
        ranges=ranges,
        seed=seed,
        threads=threads,
        repair=repair,
        training=as_training(finetune),
        train_data=train_data,
        validation_data=validation_data,
        teacher=teacher,
        steps=steps,
        step_schedule=step_schedule,
        last_epochs=last_epochs,
        sparsity=sparsity,
        sparsity_strength=sparsity_strength,
        sparsity_epochs=sparsity_epochs,
        run_folder=run_folder,
        restart=restart,
        tensorboard=tensorboard,
    )
    path = None if output is None else Path(output)
    job = open_job(settings)
    return _right(run(model, job, output=path, progress=progress, example_inputs=example_inputs))


def _right(result: PruneResult) -> PruneResult:
    """The result itself.

    Raises:
        VerificationError: where it is wrong; the error line of the command line says the same.
    """
    if result.report.wrong:
        raise VerificationError(
            f"The pruned model is not what the masked source computes: {result.report.wrong}.",
            hint="This is a defect of onnxprune; please report it with the model.",
        )
    return result
