"""What a pruning run is told about training and steps, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeAlias

from onnxprune.api.settings import Settings
from onnxprune.criteria.registry import choose
from onnxprune.errors import UsageError
from onnxprune.plan.schedule import LAYERWISE, SCHEDULES
from onnxprune.training.settings import TrainSettings, option_name
from onnxprune.training.sparsity import STRENGTHS

Finetune: TypeAlias = "float | Mapping[str, Any] | TrainSettings | None"
"""A number of epochs, fields of ``TrainSettings``, or these themselves."""

SPARSITY_EPOCHS = 5.0
"""Of the training before the cut, where the user names no number."""

_OF_TRAINING = ("train_data", "validation_data", "teacher", "last_epochs", "tensorboard")
_OF_SPARSITY = ("sparsity_strength", "sparsity_epochs")


def as_training(given: Finetune) -> TrainSettings | None:
    """Settings of the training, None for no training.

    Raises:
        UsageError: there is no such setting, or a value makes no sense.
    """
    if given is None or isinstance(given, TrainSettings):
        return given
    if not isinstance(given, Mapping):
        return TrainSettings(epochs=given)
    known = {field.name for field in fields(TrainSettings)}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(
            f"finetune: there is no setting {unknown[0]!r}.", hint=f"Known: {', '.join(sorted(known))}."
        )
    return TrainSettings(**given)


def several(settings: Settings) -> bool:
    """Whether the run may take more than one step."""
    return settings.step_schedule == LAYERWISE or (settings.steps or 1) > 1


def trains(settings: Settings) -> bool:
    """Whether what is left is trained."""
    return settings.training is not None and settings.training.epochs > 0


def check_training(settings: Settings) -> None:
    """See that nothing is said about training that does not take place, and that it has what it needs.

    Raises:
        UsageError: it is not so.
    """
    choose("step schedule", settings.step_schedule, SCHEDULES)
    if settings.sparsity is not None:
        choose("sparsity", settings.sparsity, STRENGTHS)
    _check_spared(settings)
    if settings.last_epochs is not None:
        replace(TrainSettings(), epochs=settings.last_epochs)
    if settings.sparsity_epochs is not None:
        replace(TrainSettings(), epochs=settings.sparsity_epochs)
    if settings.sparsity_strength is not None and not settings.sparsity_strength >= 0:
        raise UsageError("--sparsity-strength is negative.", hint="Give 0 or more.")
    some = trains(settings) or settings.sparsity is not None
    if some and settings.data is None and settings.train_data is None:
        raise UsageError(
            "Training needs samples, and there are none.",
            hint="Name them with --train-data, or with --data, which serves for both.",
        )


def _check_spared(settings: Settings) -> None:
    """See that options of what does not take place are left out."""
    some = settings.training is not None or settings.sparsity is not None
    for names, wanted, what in (
        (() if some else _OF_TRAINING, "--finetune EPOCHS", "training, and nothing is trained"),
        (() if settings.sparsity else _OF_SPARSITY, "--sparsity", "sparsity, and nothing is done about it"),
    ):
        for name in names:
            value = getattr(settings, name)
            if value is not None and value is not False:
                raise UsageError(f"{option_name(name)} is about {what}.", hint=f"Add {wanted}.")
