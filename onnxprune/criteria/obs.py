"""Reconstruction loss: what a channel costs once the other weights make up for it."""

from __future__ import annotations

from onnxprune.calibration.statistics import RemovalLoss
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.norms import square_sums
from onnxprune.criteria.registry import register
from onnxprune.criteria.weights import Weights

LOSS = RemovalLoss()
UNREAD = "obs: no layer reads the channels with weights of its own; used their share of the squared weights"


@register("obs", needs=frozenset({LOSS}), losses=True)
def obs(group: Group, weights: Weights) -> Floats:
    """Loss at which each unit goes in greedy backward elimination, (units,).

    Optimal Brain Surgeon (Hassibi & Stork 1993) for groups of columns, on the outputs of the layers that
    read the unit: Frantar & Alistarh 2022 (arXiv 2208.11580), Kurtic et al. 2023 (arXiv 2302.04089). The
    removal of one unit and the refit of the others is priced exactly by the inverse of the inputs' second
    moments; the cheapest goes, the matrices are updated, and so on. Losses are shares of the variance of the
    value that a reader's output ends in, so they can be compared across layers.
    """
    found = weights.observed(group, LOSS)
    if found:
        return found[0]
    weights.note(group, UNREAD)
    energy = weights.reduced(group, group.filters(), lambda s: square_sums(group, s, weights))
    share: Floats = energy / (float(energy.sum()) or 1.0)
    return share
