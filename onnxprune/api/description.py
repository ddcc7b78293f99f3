"""The settings of a run as its report states them."""

from __future__ import annotations

import os
from typing import Any

from onnxprune.api.holding import CHOOSING
from onnxprune.api.job import Job
from onnxprune.api.sources import Source
from onnxprune.api.training_settings import SPARSITY_EPOCHS, several, trains
from onnxprune.calibration import DEFAULT_COUNT, Samples
from onnxprune.criteria import Criterion
from onnxprune.plan import CountsTarget, RatioTarget
from onnxprune.plan.drop import DropTarget
from onnxprune.training.sparsity import STRENGTHS


def describe(job: Job) -> dict[str, Any]:
    """Everything that decides the result, defaults and what they came to included."""
    from onnxprune import __version__

    own = job.settings
    return {
        "version": __version__,
        "target": _describe_target(job),
        "criterion": _describe(job.criterion),
        "criteria": [_describe(stage) for stage in job.criteria],
        "scoring": own.scoring,
        "scope": job.scope,
        "align": own.align,
        "grid": job.grid,
        "include": list(own.include),
        "exclude": list(own.exclude),
        "layer_ratios": [list(pair) for pair in own.layer_ratios],
        "granularity": own.granularity,
        "verify": own.verify,
        "strict": own.strict,
        "quantize": own.quantize,
        "ranges": own.ranges if own.quantize else None,
        "seed": own.seed,
        "threads": own.threads,
        "data": _describe_data(own.data),
        "preprocess": None if own.preprocess is None else str(own.preprocess),
        "samples": _describe_count(job),
        "metric": own.metric,
        "output_name": own.output_name,
        "holdout": own.holdout,
        "steps": own.steps,
        "step_schedule": own.step_schedule if several(own) else None,
        "finetune": _describe_training(job),
        "sparsity": _describe_sparsity(job),
    }


def _describe_training(job: Job) -> dict[str, Any] | None:
    """How the result is trained, None for not at all."""
    own = job.settings
    if own.training is None or not trains(own):
        return None
    return {
        **own.training.to_dict(),
        "seed": own.seed,
        "last_epochs": own.last_epochs,
        "train_data": _describe_data(own.data if own.train_data is None else own.train_data),
        "validation_data": _describe_data(own.validation_data),
        "teacher": "the source" if own.teacher is None else _describe_model(own.teacher),
    }


def _describe_sparsity(job: Job) -> dict[str, Any] | None:
    """How the model is trained before the cut, None for not at all."""
    own = job.settings
    if own.sparsity is None:
        return None
    return {
        "method": own.sparsity,
        "strength": own.sparsity_strength or STRENGTHS[own.sparsity],
        "epochs": SPARSITY_EPOCHS if own.sparsity_epochs is None else own.sparsity_epochs,
    }


def _describe_model(given: Source) -> str:
    return str(given) if isinstance(given, str | os.PathLike) else type(given).__name__


def _describe_target(job: Job) -> dict[str, Any]:
    target = job.target
    if isinstance(target, CountsTarget):
        return {"criterion": " --then ".join(str(stage) for stage in job.criteria)}
    if isinstance(target, RatioTarget):
        return {"ratio": target.ratio}
    if isinstance(target, DropTarget):
        return {"max_drop": target.points}
    option, amount = str(target).removeprefix("--").split(" ", 1)
    return {option: amount}


def _describe_count(job: Job) -> int | None:
    """Samples that are taken at most, but for those that are held back."""
    own = job.settings
    if own.data is None or own.samples is not None:
        return own.samples
    return CHOOSING if isinstance(job.target, DropTarget) else DEFAULT_COUNT


def _describe_data(given: object) -> str | None:
    """Text as it was given; what was made in Python by its kind."""
    if given is None:
        return None
    if isinstance(given, str | os.PathLike):
        return str(given)
    return given.description if isinstance(given, Samples) else type(given).__name__


def _describe(chosen: Criterion) -> dict[str, Any]:
    return {
        "name": chosen.name,
        "reduction": chosen.reduction,
        "normalizer": chosen.normalizer,
        "threshold": chosen.threshold,
        "options": dict(chosen.options),
    }
