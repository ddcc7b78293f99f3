"""Correlation of activations: channels that rise and fall together say the same thing twice."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.statistics import Covariance
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.agglomeration import agglomerate
from onnxprune.criteria.registry import register
from onnxprune.criteria.weights import Weights
from onnxprune.errors import UsageError

FARTHEST = 1.0
"""1 - |r| of channels that have nothing to do with each other."""


def _bound(threshold: float) -> float:
    """Units go that correlate with one that stays by more than the threshold.

    Raises:
        UsageError: no absolute correlation.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(
            f"correlation:{threshold:g} is no absolute correlation.",
            hint="Give a number from 0 to 1: correlation:0.8 removes what has |r| > 0.8 to a channel left.",
        )
    return FARTHEST - threshold


@register("correlation", needs=frozenset({Covariance()}), threshold=_bound)
def correlation(group: Group, weights: Weights) -> Floats:
    """1 - |r| to the unit that stands in when the unit goes, (units,), 0 to 1.

    r is Pearson's correlation of two channels over all samples and positions, as in Kumar et al. 2022,
    "CorrNet: pearson correlation based pruning for efficient convolutional neural networks"
    (doi 10.1007/s13042-022-01624-5). Of the most correlated pair the channel of lower variance goes.
    Where several values carry the units (a residual stream), |r| is averaged over them, whatever the
    reduction. A channel that never changes needs no stand-in but a constant: it scores 0.
    """
    covariances = weights.observed(group, Covariance())
    total = np.zeros((group.size, group.size))
    count = np.zeros((group.size, group.size))
    variance = np.zeros(group.size)
    for covariance in covariances:
        own = np.diagonal(covariance)
        held = np.isfinite(own)
        scale = np.sqrt(np.where(held, np.maximum(own, 0.0), 0.0))
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.nan_to_num(np.abs(covariance) / np.outer(scale, scale), nan=0.0, posinf=0.0)
        total += np.minimum(r, 1.0)
        count += np.outer(held, held)
        variance += np.where(held, own, 0.0)
    with np.errstate(invalid="ignore"):
        distances = FARTHEST - total / count
    constant = variance <= 0
    distances[constant] = distances[:, constant] = 0.0
    return agglomerate(distances, variance, weights.alive(group), farthest=FARTHEST)
