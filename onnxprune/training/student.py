"""The module that is trained, its teacher, and how both are run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onnxprune.errors import UsageError
from onnxprune.model.model import Model
from onnxprune.torch_graph import insert_batch_norm, to_torch
from onnxprune.torch_graph.module import BatchNorm, OnnxModule
from onnxprune.training.features import feature_names
from onnxprune.training.heads import Form, as_tuple, form_of, heads_of, matching, paired
from onnxprune.training.objective import Objective, Term
from onnxprune.training.pool import Pool
from onnxprune.training.settings import TrainSettings

STATISTICS = 1024
"""Samples that inserted batch normalisations take their first statistics from."""

LEAST_BATCH = 8
"""Samples of a forward pass from which batch statistics are worth anything."""

_LOOK = 256
"""Samples that outputs are looked at on."""
AT_ONCE = 256
"""Samples that are run at a time where no gradients are wanted."""


@dataclass(frozen=True, eq=False)
class Runner:
    """Runs modules on a device in a precision.

    Attributes:
        device: of the modules.
        half: whether convolutions and matrix products run in bfloat16.
        at_once: samples that are run at a time where no gradients are wanted.
    """

    device: torch.device
    half: bool
    at_once: int = AT_ONCE

    def __call__(self, module: nn.Module, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Outputs of a module, in parts where its graph takes a fixed number of samples at a time."""
        size = getattr(module, "batch_size", None)
        with self._casting():
            if size is None or len(inputs[0]) == size:
                return as_tuple(module(*inputs))
            parts = [as_tuple(module(*part)) for part in _parts(inputs, size)]
        return tuple(torch.cat(found)[: len(inputs[0])] for found in zip(*parts, strict=True))

    def batches(self, pool: Pool) -> Iterator[tuple[Tensor, ...]]:
        """All samples on the device, as many at a time as are run without gradients."""
        for start in range(0, len(pool), self.at_once):
            yield tuple(x[start : start + self.at_once].to(self.device) for x in pool.inputs)

    def all(self, module: nn.Module, pool: Pool) -> Iterator[tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]:
        """Inputs on the device and outputs of a module for all samples, without gradients."""
        for inputs in self.batches(pool):
            with torch.no_grad():  # left before the yield: generators that take turns would mix it up
                found = self(module, inputs)
            yield inputs, found

    def _casting(self) -> AbstractContextManager[object]:
        casting: AbstractContextManager[object] = torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.half
        )
        return casting


def _parts(inputs: Sequence[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Parts of a fixed size; the last one is filled up with its own last sample."""
    for start in range(0, len(inputs[0]), size):
        part = [x[start : start + size] for x in inputs]
        lacking = size - len(part[0])
        if lacking:
            part = [torch.cat([x, x[-1:].expand(lacking, *x.shape[1:])]) for x in part]
        yield part


@dataclass(frozen=True, eq=False)
class Student:
    """What is trained.

    Attributes:
        module: of the model.
        teacher: of the teacher, None without one.
        objective: the loss.
        form: of the first output.
        features: inner values that are compared with the teacher's.
        normalised: whether batch normalisations take the statistics of the batch.
        notes: what the user should know.
    """

    module: OnnxModule
    teacher: OnnxModule | None
    objective: Objective
    form: Form
    features: tuple[str, ...]
    normalised: bool
    notes: tuple[str, ...]


def make_student(
    model: Model,
    teacher: Model | None,
    first: Pool,
    settings: TrainSettings,
    runner: Runner,
    *,
    rank_batch: int,
) -> Student:
    """Modules and loss for a training.

    Args:
        model: to train.
        teacher: to learn from.
        first: samples, to see what outputs hold and for the first statistics.
        settings: of the training.
        runner: for the device.
        rank_batch: samples that this process takes at a time.

    Raises:
        InputError: a model cannot be made into a module.
        UsageError: outputs, labels and teacher do not fit each other.
    """
    labelled = first.labels is not None
    if not labelled and teacher is None:
        raise UsageError(
            "The samples have no labels, and there is no teacher to learn from.",
            hint="Name the labels, as in --train-data FILE.npz:x_train,y_train, or the model before pruning "
            "with --teacher.",
        )
    heads = heads_of(model)
    heads = heads if teacher is not None else heads[:1]
    features = feature_names(model, teacher, settings.features) if teacher is not None else ()
    module = to_torch(model, outputs=[*(head.value for head in heads), *features])
    own_teacher = None
    if teacher is not None:
        pairs = paired(heads, heads_of(teacher))
        own_teacher = _placed(
            to_torch(teacher, outputs=[*(other.value for _, other in pairs), *features]), runner
        )
        own_teacher.requires_grad_(False)
    _placed(module, runner)
    look = Pool(tuple(x[:_LOOK] for x in first.inputs), None)
    found, taught = _seen(runner, module, look), _seen(runner, own_teacher, look)
    objective, notes = _objective(found, taught, len(heads), features, settings, labelled=labelled)
    normalised = (module.batch_size or rank_batch) >= LEAST_BATCH
    if settings.batch_norm and normalised:
        _insert(module, first, runner)
    compared = tuple(
        name for name, term in zip(features, objective.taught[len(heads) :], strict=True) if term is not None
    )
    return Student(module, own_teacher, objective, form_of(found[0]), compared, normalised, notes)


def train_mode(module: nn.Module, *, normalised: bool) -> None:
    """Set a module to training, its batch normalisations only where batches are large enough."""
    module.train()
    if not normalised:
        for child in module.modules():
            if isinstance(child, BatchNorm):
                child.eval()


def _placed(module: OnnxModule, runner: Runner) -> OnnxModule:
    """A module on its device, half precision widened."""
    if any(p.dtype in (torch.float16, torch.bfloat16) for p in module.parameters()):
        module.float()
    module.to(runner.device)
    if runner.device.type == "cuda" or runner.half:  # convolutions in half precision are faster so
        module.to(memory_format=torch.channels_last)
    return module


def _insert(module: OnnxModule, first: Pool, runner: Runner) -> None:
    size = module.batch_size or AT_ONCE
    count = min(len(first), STATISTICS) // size * size or min(len(first), size)
    batches = (
        tuple(x[start : start + size].to(runner.device) for x in first.inputs)
        for start in range(0, count, size)
    )
    if module.batch_size is None or count >= size:
        insert_batch_norm(module, batches)


def _seen(runner: Runner, module: OnnxModule | None, look: Pool) -> list[Tensor]:
    """What a module returns on some samples; nothing without a module."""
    if module is None:
        return []
    parts = [found for _, found in runner.all(module, look)]
    return [torch.cat(same) if same[0].dim() else same[0] for same in zip(*parts, strict=True)]


def _objective(
    found: list[Tensor],
    taught: list[Tensor],
    outputs: int,
    features: Sequence[str],
    settings: TrainSettings,
    *,
    labelled: bool,
) -> tuple[Objective, tuple[str, ...]]:
    """The loss for outputs and features as they were seen.

    Raises:
        UsageError: labels are for classes, and the first output has none; or outputs differ.
    """
    form = form_of(found[0])
    distill = (0.9 if labelled else 1.0) if settings.distill is None else settings.distill
    distill = 0.0 if not taught else distill
    if labelled and distill < 1 and not form.classes:
        raise UsageError(
            f"Labels are classes, and the first output, of shape {tuple(found[0].shape)}, has no score for "
            "each class.",
            hint="Learn from a teacher alone: --teacher MODEL --distill 1.",
        )
    if not labelled and distill < 1:
        raise UsageError(
            f"--distill {distill:g} leaves a part of the loss to labels, and there are none.",
            hint="Leave it out, or give samples with labels.",
        )
    same = matching(found, taught) if taught else []
    if not all(same[:outputs]):
        raise UsageError(
            "The outputs of the teacher have other shapes than those of the model.",
            hint="The teacher is the model before pruning, or one with the same classes.",
        )
    finite = [bool(other.isfinite().all()) for other in taught]  # masked scores of an attention are not
    usable = [fits and (place < outputs or finite[place]) for place, fits in enumerate(same)]
    terms = tuple(
        Term(form_of(own), form_of(other), max(float(other.double().square().mean()), 1e-12))
        if fits
        else None
        for own, other, fits in zip(found, taught, usable, strict=False)
    )
    left_out = {
        "features whose shape differs from the teacher's": same[outputs:],
        "features that are not finite": finite[outputs:],
    }
    notes = tuple(
        f"{what}: {', '.join(name for name, fits in zip(features, fitting, strict=False) if not fits)}"
        for what, fitting in left_out.items()
        if not all(fitting)
    )
    made = Objective(
        form if labelled and form.classes else None,
        terms,
        outputs,
        distill,
        settings.feature_weight / max(1, sum(term is not None for term in terms[outputs:])),
        settings.temperature,
        settings.label_smoothing,
    )
    return made, notes
