"""Random choice: the baseline that every criterion has to beat."""

from __future__ import annotations

from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.registry import register
from onnxprune.criteria.weights import Weights


@register("random")
def random(group: Group, weights: Weights) -> Floats:
    """Uniform numbers from 0 to 1, shape (units,), fixed by the seed and the group's name."""
    return weights.rng(group).random(group.size)
