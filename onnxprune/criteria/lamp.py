"""Layer-adaptive magnitude."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.norms import square_sums
from onnxprune.criteria.registry import as_it_is, register
from onnxprune.criteria.weights import Weights


@register("lamp", threshold=as_it_is)
def lamp(group: Group, weights: Weights) -> Floats:
    """Squared norm over the squared norms that are at least as large, shape (units,), 0 to 1.

    Lee et al. 2021, "Layer-adaptive Sparsity for the Magnitude-based Pruning" (arXiv 2010.07611),
    define it for single weights, and let the index decide between equal ones. Here the unit takes
    the place of the weight, and equal units all count in each other's denominator, so they score
    the same. A single largest unit scores 1, the most there is, whatever the group.
    """
    squares = weights.reduced(group, group.filters(), lambda s: square_sums(group, s, weights))
    ordered = np.sort(squares)
    at_least = np.cumsum(ordered[::-1])[::-1]
    # the leftmost of equal units has the sum over all of them
    denominators = at_least[np.searchsorted(ordered, squares, side="left")] if squares.size else squares
    return np.divide(squares, denominators, out=np.zeros_like(squares), where=denominators > 0)
