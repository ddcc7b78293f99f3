"""Mean and variance of activations."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.statistics import Mean, MeanSquare
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.registry import as_it_is, register
from onnxprune.criteria.weights import Weights


@register("mean", needs=frozenset({Mean()}), threshold=as_it_is)
def mean(group: Group, weights: Weights) -> Floats:
    """Mean over the samples of the absolute pooled activation, (units,).

    Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference" (arXiv
    1611.06440), name the mean activation as a criterion for channels behind a ReLU. The absolute value of
    each sample's mean changes nothing there, and lets activations of both signs be ranked.
    """
    observed = weights.observed(group, Mean())
    return weights.combined(group, [np.abs(pooled).mean(axis=0) for pooled in observed])


@register("variance", needs=frozenset({Mean(), MeanSquare()}), threshold=as_it_is)
def variance(group: Group, weights: Weights) -> Floats:
    """Variance of a channel over all samples and positions, (units,).

    Polyak & Wolf 2015, "Channel-Level Acceleration of Deep Face Representations" (IEEE Access 3, doi
    10.1109/ACCESS.2015.2494536), remove the channels whose activations vary least.
    """
    means = weights.observed(group, Mean())
    squares = weights.observed(group, MeanSquare())
    rows = [
        np.maximum(square.mean(axis=0) - pooled.mean(axis=0) ** 2, 0.0)
        for pooled, square in zip(means, squares, strict=True)
    ]
    return weights.combined(group, rows)
