"""The main job: from a model to a smaller one and the account of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from onnxprune.api.running import PruneResult, run
from onnxprune.api.settings import LayerRatios, Settings, globs, open_job, pairs
from onnxprune.api.sources import Source
from onnxprune.criteria import Criterion, Score
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
    criterion: str | Score | Criterion = "l1",
    scoring: str = "independent",
    scope: str = "local",
    align: str | int = "auto",
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    layer_ratio: LayerRatios = (),
    granularity: str = "inner",
    verify: bool = True,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
    output: str | os.PathLike[str] | None = None,
) -> PruneResult:
    """Remove the least important channels of a model; the source is never changed.

    Exactly one of ``ratio``, ``macs``, ``params`` and ``size`` says how much::

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
        criterion: what makes a channel important: a name with options (``"l2,reduction=max"``),
            ``"package.module:function"``, or a function ``(group, weights) -> (units,)``.
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
        verify: compare the result with the masked source on random inputs before it is written.
        seed: of every random choice.
        threads: of ONNX Runtime, None leaves the choice to it.
        progress: called with the name of each step as it begins.
        output: where to write; nothing is written without it.

    Raises:
        InputError: the model cannot be used, or nothing in it can be pruned.
        UsageError: an argument makes no sense.
        TargetError: the budget is out of reach.
        OutputError: the output cannot be written.
        VerificationError: the result is wrong; nothing was written.
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
        verify=verify,
        seed=seed,
        threads=threads,
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
