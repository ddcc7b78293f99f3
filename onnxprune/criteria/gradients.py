"""What the loss makes of a unit: first and second order of its change when the unit goes."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.statistics import Gate, Loss
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.registry import Needs, register
from onnxprune.criteria.weights import Weights
from onnxprune.errors import UsageError


def _needs(batch: int) -> Needs:
    """Derivatives of the loss on labels.

    Raises:
        UsageError: batches without samples.
    """
    if batch < 1:
        raise UsageError(f"taylor with batch={batch} has no samples to average.", hint="Give 1 or more.")
    return frozenset({Gate(Loss.LABELS)})


@register("taylor", needs=_needs, batch=16)
def taylor(group: Group, weights: Weights, *, batch: int) -> Floats:
    """Squared first-order change of the loss, averaged over batches of ``batch`` samples, (units,).

    Molchanov et al. 2019, "Importance Estimation for Neural Network Pruning" (arXiv 1906.10771): a gate on
    the unit has the derivative ``sum g_s w_s`` over the weights behind it, of which the square is averaged
    over batches. One gate serves all layers that read the unit.
    """
    rows = []
    for slopes in weights.observed(group, Gate(Loss.LABELS)):
        starts = np.arange(0, len(slopes), batch)
        counts = np.diff([*starts, len(slopes)])[:, None]
        rows.append(((np.add.reduceat(slopes, starts, axis=0) / counts) ** 2).mean(axis=0))
    return weights.combined(group, rows)


@register("fisher", needs=frozenset({Gate(Loss.LABELS)}))
def fisher(group: Group, weights: Weights) -> Floats:
    """Mean over the samples of the squared derivative of the loss by a factor on the unit, (units,).

    Theis et al. 2018, "Faster gaze prediction with dense networks and Fisher pruning" (arXiv 1801.05787); of
    coupled layers together in Liu et al. 2021, "Group Fisher Pruning for Practical Network Compression"
    (arXiv 2108.00708).
    """
    return _mean_square(group, weights, Loss.LABELS)


@register("self_fisher", needs=frozenset({Gate(Loss.SAMPLED)}))
def self_fisher(group: Group, weights: Weights) -> Floats:
    """``fisher`` with labels drawn from the model's own prediction, (units,).

    This is the Fisher information itself, and to second order twice the divergence of the pruned from the
    unpruned prediction (Martens 2014, "New insights and perspectives on the natural gradient method", arXiv
    1412.1193; Kunstner et al. 2019, arXiv 1905.12558, on what the labels of the data make of it).
    """
    return _mean_square(group, weights, Loss.SAMPLED)


@register("jacobian", needs=frozenset({Gate(Loss.OUTPUTS)}))
def jacobian(group: Group, weights: Weights) -> Floats:
    """Mean over the samples of the squared derivatives of all outputs by a factor on the unit, (units,).

    To second order the squared distance that removing the unit puts between the outputs and those of the
    model as it was (the Gauss-Newton matrix of distillation, Martens 2014, arXiv 1412.1193). The sum over
    outputs is estimated with one random sign an output and sample (Hutchinson 1989).
    """
    return _mean_square(group, weights, Loss.OUTPUTS)


def _mean_square(group: Group, weights: Weights, loss: Loss) -> Floats:
    found = weights.observed(group, Gate(loss))
    return weights.combined(group, [(slopes**2).mean(axis=0) for slopes in found])
