"""What is differentiated: a sum over samples of a loss, with labels or without."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from onnxprune.calibration.samples import Batch, Samples
from onnxprune.calibration.statistics import Loss
from onnxprune.errors import UsageError

Outputs = Sequence[Any]
"""Tensors of torch, one an output of the model."""

WITHOUT_LABELS = (
    "Give labels with --data, or take a method that needs none: self_fisher, jacobian, entropy, ..."
)


def check_labels(samples: Samples, loss: Loss) -> None:
    """Refuse samples without labels where the loss is measured on them.

    Raises:
        UsageError: naming the methods that need none.
    """
    if loss is Loss.LABELS and not samples.labelled:
        raise UsageError(
            f"The criterion differentiates the loss on labels, and there are none in {samples.description}.",
            hint=WITHOUT_LABELS,
        )


def _on_labels(outputs: Outputs, batch: Batch, rng: np.random.Generator) -> Any:
    """Cross-entropy of the first output with the labels."""
    scores = _log_probabilities(outputs)
    labels = np.asarray(batch.labels).reshape(-1).astype(np.int64)
    if len(labels) != len(scores) or labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise UsageError(
            f"The labels do not fit the model: {len(scores)} samples need as many classes from 0 to "
            f"{scores.shape[1] - 1}, and there are {len(labels)} from {labels.min()} to {labels.max()}.",
            hint=WITHOUT_LABELS,
        )
    return _cross_entropy(scores, labels)


def _on_own_labels(outputs: Outputs, batch: Batch, rng: np.random.Generator) -> Any:
    """Cross-entropy with labels drawn from the prediction: its squared gradient is the true Fisher's."""
    scores = _log_probabilities(outputs)
    shares = scores.detach().double().exp().cumsum(dim=1).numpy()
    drawn = (shares < rng.random((len(shares), 1)) * shares[:, -1:]).sum(axis=1)
    return _cross_entropy(scores, np.minimum(drawn, scores.shape[1] - 1))


def _on_outputs(outputs: Outputs, batch: Batch, rng: np.random.Generator) -> Any:
    """All outputs with random signs: the expected square of its gradient is that of the whole Jacobian.

    Raises:
        UsageError: no output has derivatives.
    """
    import torch

    total = torch.zeros(())
    for output in outputs:
        if output.is_floating_point():
            signs = rng.integers(0, 2, tuple(output.shape)).astype(np.float32) * 2.0 - 1.0
            total = total + (output.float() * torch.from_numpy(signs)).sum()
    if not total.requires_grad:
        raise UsageError(
            "The criterion differentiates the outputs, and none of them changes smoothly with a channel.",
            hint="Take one that looks at activations: wanda, variance, entropy, ...",
        )
    return total


LOSSES: Mapping[Loss, Callable[[Outputs, Batch, np.random.Generator], Any]] = {
    Loss.LABELS: _on_labels,
    Loss.SAMPLED: _on_own_labels,
    Loss.OUTPUTS: _on_outputs,
}
"""Each loss as a function of outputs, batch and random numbers; the result is a scalar of torch."""


def _log_probabilities(outputs: Outputs) -> Any:
    """Logarithms of the class probabilities that the first output states, (samples, classes).

    Raises:
        UsageError: the first output is not one score a class.
    """
    import torch

    scores = outputs[0].float()
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise UsageError(
            f"The criterion takes the first output for class scores, and its shape is {tuple(scores.shape)}.",
            hint="The criterion jacobian takes outputs of any kind.",
        )
    sums = scores.detach().sum(dim=1)
    if bool((scores.detach() >= 0).all()) and bool(((sums - 1).abs() < 1e-3).all()):
        return scores.clamp_min(1e-12).log()  # a model that ends in a Softmax
    return torch.log_softmax(scores, dim=1)


def _cross_entropy(scores: Any, labels: Any) -> Any:
    import torch

    return torch.nn.functional.nll_loss(scores, torch.from_numpy(np.asarray(labels)), reduction="sum")
