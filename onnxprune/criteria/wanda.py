"""Weights times activations."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.statistics import MeanSquare
from onnxprune.coupling.groups import Floats, Group, Role, Slice
from onnxprune.criteria.norms import absolute_sums
from onnxprune.criteria.registry import register
from onnxprune.criteria.weights import Weights

UNREAD = "wanda: no weights read the channels; used the root mean square of their activations"


@register("wanda", needs=frozenset({MeanSquare()}))
def wanda(group: Group, weights: Weights) -> Floats:
    """Absolute weights that read a unit times the root mean square of what they read, (units,).

    Sun et al. 2024, "A Simple and Effective Pruning Approach for Large Language Models" (arXiv 2306.11695),
    score a weight by ``|W_ij| * ||X_j||_2``. A channel takes the sum over all outputs i that read it, as the
    structured form does that An et al. 2024 (FLAP, arXiv 2312.11983) compare with.
    """
    readers = [s for s in group.slices if s.role is Role.INPUT and _read(group, s, weights)]
    if readers:
        return weights.reduced(
            group, readers, lambda s: absolute_sums(group, s, weights) * _read(group, s, weights)[0]
        )
    found = weights.observed(group, MeanSquare())
    if found:
        weights.note(group, UNREAD)
    return weights.combined(group, [np.sqrt(square.mean(axis=0)) for square in found])


def _read(group: Group, reader: Slice, weights: Weights) -> tuple[Floats, ...]:
    """Root mean square of the units, (units,), in the values that the layer of a slice reads."""
    found = weights.observed(group, MeanSquare(), layer=reader.layer)
    return tuple(np.sqrt(square.mean(axis=0)) for square in found)
