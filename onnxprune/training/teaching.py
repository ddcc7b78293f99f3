"""What the teacher says of the samples of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onnxprune.errors import UsageError
from onnxprune.torch_graph.module import OnnxModule
from onnxprune.training.images import Frame
from onnxprune.training.pool import Pool
from onnxprune.training.student import Runner, Student


@dataclass(frozen=True, eq=False)
class Teaching:
    """The values that the module's are compared with.

    Attributes:
        module: of the teacher.
        runner: for its device.
        mirrored: for each input the axis along which it is mirrored, None where it takes no images; empty
            where the teacher sees the samples as they are alone.
        averaged: for each value whether it is the mean over both, as scores of classes are; others belong to
            places in an image.
    """

    module: OnnxModule
    runner: Runner
    mirrored: tuple[int | None, ...] = ()
    averaged: tuple[bool, ...] = ()

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Outputs and features of the teacher, without gradients."""
        with torch.no_grad():
            found = self.runner(self.module, inputs)
            if not self.mirrored:
                return found
            turned = [
                x if axis is None else x.flip(axis) for x, axis in zip(inputs, self.mirrored, strict=True)
            ]
            others = self.runner(self.module, turned)
        return tuple(
            (own.float() + other.float()) / 2 if mean else own
            for own, other, mean in zip(found, others, self.averaged, strict=True)
        )

    def all(self, pool: Pool) -> Iterator[tuple[Tensor, ...]]:
        """The same for all samples, a batch at a time."""
        return map(self, self.runner.batches(pool))


def teaching_of(
    student: Student, runner: Runner, frames: Sequence[Frame | None], *, mirror: bool
) -> Teaching | None:
    """How the teacher of a student is asked; None without one.

    Raises:
        UsageError: images are to be mirrored, and there is no teacher, or none that takes images and scores
            classes.
    """
    teacher = student.teacher
    if not mirror:
        return None if teacher is None else Teaching(teacher, runner)
    if teacher is None:
        raise UsageError("--mirror shows images to a teacher, and there is none.", hint="Give --teacher.")
    terms = student.objective.taught
    averaged = tuple(
        place < student.objective.outputs and term is not None and term.teacher.classes
        for place, term in enumerate(terms)
    )
    if not any(frames) or not any(averaged):
        lacking = "output that scores classes" if any(frames) else "input that takes images"
        raise UsageError(f"--mirror: the model has no {lacking}.", hint="Leave it out.")
    axes = tuple(frame and (2 if frame.channels_last else 3) for frame in frames)
    return Teaching(teacher, runner, axes, averaged)
