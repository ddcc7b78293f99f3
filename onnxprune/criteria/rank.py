"""Rank of feature maps."""

from __future__ import annotations

from onnxprune.calibration.statistics import MapRank
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.registry import Needs, as_it_is, register
from onnxprune.criteria.weights import Weights
from onnxprune.errors import UsageError

FLAT = "rank: the feature maps have one row or element, so their rank says little"


def _needs(samples: int) -> Needs:
    """Ranks on so many samples.

    Raises:
        UsageError: on none.
    """
    if samples < 1:
        raise UsageError(f"rank with samples={samples} looks at no sample.", hint="Give 1 or more.")
    return frozenset({MapRank(samples)})


@register("rank", needs=_needs, threshold=as_it_is, samples=16)
def rank(group: Group, weights: Weights, *, samples: int) -> Floats:
    """Average rank of a channel's feature map as a matrix, over the first ``samples`` samples, (units,).

    Lin et al. 2020, "HRank: Filter Pruning using High-Rank Feature Map" (arXiv 2002.10179): the average rank
    hardly depends on the images, so few of them are enough.
    """
    ranks = weights.observed(group, MapRank(samples))
    if ranks and max(float(own.max(initial=0.0)) for own in ranks) <= 1.0:
        weights.note(group, FLAT)
    return weights.combined(group, [own.mean(axis=0) for own in ranks])
