"""Loss functions that some graphs carry."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import emitter


@emitter("NegativeLogLikelihoodLoss", 12, 13, 22)
def negative_log_likelihood(call: Call) -> Any:
    """Of logarithms of probabilities."""
    return call.emit(likelihood_loss, *_operands(call))


@emitter("SoftmaxCrossEntropyLoss", 12, 13)
def softmax_cross_entropy(call: Call) -> Any:
    """Of logits; a second result is their log-softmax."""
    scores, *rest = _operands(call)
    logarithms = call.emit(torch.log_softmax, scores, 1)
    return call.emit(likelihood_loss, logarithms, *rest), logarithms


def _operands(call: Call) -> list[Any]:
    reduction = call.attribute("reduction", "mean")
    return [call.tensor(0), call.tensor(1), call.tensor(2), call.attribute("ignore_index"), reduction]


def likelihood_loss(
    logarithms: Tensor, target: Tensor, weight: Tensor | None, ignored: int | None, reduction: str
) -> Tensor:
    """Minus the logarithm at the target class.

    Args:
        logarithms: (batch, classes, ...).
        target: (batch, ...), class numbers.
        weight: of the classes, (classes,).
        ignored: a target that does not count.
        reduction: ``none``, ``sum`` or ``mean``, which is weighted.
    """
    target = target.to(torch.int64)
    counts = torch.ones_like(target, dtype=torch.bool) if ignored is None else target != ignored
    place = torch.where(counts, target, torch.zeros_like(target))
    each = counts.to(logarithms.dtype) * (1.0 if weight is None else weight[place])
    loss = -torch.gather(logarithms, 1, place.unsqueeze(1)).squeeze(1) * each
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.sum() / each.sum()
