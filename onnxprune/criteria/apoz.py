"""Share of zeros: a channel that is silent on most inputs."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.statistics import ZeroShare
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.registry import register
from onnxprune.criteria.weights import Weights
from onnxprune.errors import UsageError

NO_ZEROS = "apoz: the activations are never zero, so all channels score alike; another criterion says more"


def _bound(threshold: float) -> float:
    """Units go whose share of zeros is above the threshold.

    Raises:
        UsageError: no share.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(
            f"apoz:{threshold:g} is no share of zeros.",
            hint="Give a number from 0 to 1: apoz:0.9 removes what is zero more than 90 % of the time.",
        )
    return 1.0 - threshold


@register("apoz", needs=frozenset({ZeroShare()}), threshold=_bound)
def apoz(group: Group, weights: Weights) -> Floats:
    """1 - APoZ, the share of samples and positions at which a channel is not zero, (units,), 0 to 1.

    Hu et al. 2016, "Network Trimming: A Data-Driven Neuron Pruning Approach towards Efficient Deep
    Architectures" (arXiv 1607.03250): the average percentage of zeros of a channel behind its ReLU.
    """
    shares = weights.observed(group, ZeroShare())
    if shares and not any(np.nansum(share) for share in shares):
        weights.note(group, NO_ZEROS)
    return weights.combined(group, [1.0 - share.mean(axis=0) for share in shares])
