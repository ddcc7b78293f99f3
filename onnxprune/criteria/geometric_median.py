"""Distance to the layer's other filters: what lies in their middle, they can stand in for."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats, Group, Slice
from onnxprune.criteria.registry import as_it_is, register
from onnxprune.criteria.vectors import inner_products, unit_vectors
from onnxprune.criteria.weights import Weights
from onnxprune.model.constants import Array


@register("geometric_median", threshold=as_it_is)
def geometric_median(group: Group, weights: Weights) -> Floats:
    """Sum of the Euclidean distances of each filter to the group's other filters, (units,).

    He et al. 2019, "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks
    Acceleration" (arXiv 1811.00250): the geometric median minimises that sum, and the filters nearest
    to it are the ones that the others represent. Distances are taken within each layer that shares
    the units, and the sums are reduced as the user chose.
    """
    return weights.reduced(group, group.filters(), lambda s: _sums(group, s, weights))


def _sums(group: Group, found: Slice, weights: Weights) -> Floats:
    """Summed distances of each unit to the others that are alive, (units,); NaN where it is not held."""
    vectors, held = unit_vectors(group, found, weights.matrix(found))
    distances = np.sqrt(np.maximum(_square_distances(vectors), 0.0))
    sums: Floats = distances[:, held & weights.alive(group)].sum(axis=1)
    sums[~held] = np.nan
    return sums


def _square_distances(vectors: Array) -> Floats:
    """Squared distances of all pairs of rows, (rows, rows).

    |x - y|^2 = |x|^2 + |y|^2 - 2 xy; the rows are centred first, which keeps what is subtracted small.
    """
    products = inner_products(vectors, centred=True)
    squares = np.diagonal(products)
    found: Floats = squares[:, None] + squares[None, :] - 2.0 * products
    np.fill_diagonal(found, 0.0)
    return found
