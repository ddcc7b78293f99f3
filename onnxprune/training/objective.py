"""The loss: what labels say, what the teacher says, and its inner values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.training.heads import Form


@dataclass(frozen=True, eq=False)
class Target:
    """What is known of the samples of a step.

    Attributes:
        labels: (samples,) classes, None where labels are not used.
        partners: the labels of what was mixed in, None where samples are not mixed.
        share: of the samples themselves in the mixture.
    """

    labels: Tensor | None = None
    partners: Tensor | None = None
    share: float = 1.0


@dataclass(frozen=True)
class Term:
    """A value of the module that is compared with the teacher's.

    Attributes:
        form: what the module's value holds.
        teacher: what the teacher's holds.
        scale: mean square of the teacher's values, by which squared differences are divided.
    """

    form: Form
    teacher: Form
    scale: float


@dataclass(frozen=True)
class Objective:
    """The loss of a step; for a mean over all samples, sums are divided by the size of the whole batch.

    Attributes:
        labelled: form of the output that labels are for, the first one; None where labels are not used.
        taught: the outputs and, behind them, the features that are compared with the teacher; None for one
            that cannot be.
        outputs: how many of these are outputs.
        distill: weight of the outputs beside that of the labels.
        feature_weight: weight of each of the features.
        temperature: of the distillation.
        smoothing: of the labels.
    """

    labelled: Form | None
    taught: tuple[Term | None, ...]
    outputs: int
    distill: float
    feature_weight: float
    temperature: float
    smoothing: float

    def __call__(
        self, found: Sequence[Tensor], teacher: Sequence[Tensor], target: Target, size: int
    ) -> Tensor:
        """The loss.

        Args:
            found: outputs and features of the module.
            teacher: the same of the teacher, none without one.
            target: labels.
            size: samples of the whole batch, those of other processes too.
        """
        total = torch.zeros((), device=found[0].device)
        if self.labelled is not None and target.labels is not None and self.distill < 1:
            total = total + (1 - self.distill) * self._on_labels(found[0], target)
        for place, (term, own, other) in enumerate(zip(self.taught, found, teacher, strict=False)):
            weight = self.distill if place < self.outputs else self.feature_weight
            if weight and term is not None:
                total = total + weight * self._on_teacher(term, own, other)
        return total / size

    def _on_labels(self, found: Tensor, target: Target) -> Tensor:
        assert self.labelled is not None
        scores = self.labelled.scores(found)
        own = self._cross_entropy(scores, target.labels)
        if target.partners is None:
            return own
        return target.share * own + (1 - target.share) * self._cross_entropy(scores, target.partners)

    def _cross_entropy(self, scores: Tensor, labels: Tensor | None) -> Tensor:
        return functional.cross_entropy(scores, labels, reduction="sum", label_smoothing=self.smoothing)

    def _on_teacher(self, term: Term, own: Tensor, other: Tensor) -> Tensor:
        if not term.form.classes:
            apart = own - other  # stays in half precision where values are; only the sum of squares does not
            wide = torch.promote_types(apart.dtype, torch.float32)
            squares: Tensor = torch.linalg.vector_norm(apart, dtype=wide).square()
            return squares * len(apart) / (apart.numel() * term.scale)
        hot = self.temperature
        scores = functional.log_softmax(term.form.scores(own) / hot, 1)
        wanted = functional.log_softmax(term.teacher.scores(other) / hot, 1)
        return hot**2 * functional.kl_div(scores, wanted, reduction="sum", log_target=True)
