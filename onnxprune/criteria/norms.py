"""Norms of the filters: L1, L2 and L-infinity.

Li et al. 2017, "Pruning Filters for Efficient ConvNets" (arXiv 1608.08710), rank the filters of a
layer by the sum of their absolute kernel weights. A unit that several layers share has one filter
in each, reduced to one score as the user chose.
"""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats, Group, Slice
from onnxprune.criteria.registry import as_it_is, register
from onnxprune.criteria.weights import Weights, finite
from onnxprune.model.constants import Array

BLOCK = 1 << 18
"""Elements handled at a time: a temporary of this size stays in the processor's cache."""


@register("l1", threshold=as_it_is)
def l1(group: Group, weights: Weights) -> Floats:
    """Sum of the absolute weights of each filter, shape (units,)."""
    return weights.reduced(group, group.filters(), lambda s: absolute_sums(group, s, weights))


@register("l2", threshold=as_it_is)
def l2(group: Group, weights: Weights) -> Floats:
    """Euclidean norm of each filter, shape (units,)."""
    return weights.reduced(group, group.filters(), lambda s: np.sqrt(square_sums(group, s, weights)))


@register("linf", threshold=as_it_is)
def linf(group: Group, weights: Weights) -> Floats:
    """Largest absolute weight of each filter, shape (units,)."""
    return weights.reduced(group, group.filters(), lambda s: absolute_maxima(group, s, weights))


def absolute_sums(group: Group, slice: Slice, weights: Weights) -> Floats:
    """Sum of absolute values over all indices of a unit, (units,); NaN where a unit has none."""
    return _pooled(group, slice, _rows(weights.matrix(slice), np.absolute, np.add), np.add)


def square_sums(group: Group, slice: Slice, weights: Weights) -> Floats:
    """Sum of squares over all indices of a unit, (units,); NaN where a unit has none."""
    return _pooled(group, slice, _rows(weights.matrix(slice), np.square, np.add), np.add)


def absolute_maxima(group: Group, slice: Slice, weights: Weights) -> Floats:
    """Largest absolute value over all indices of a unit, (units,); NaN where a unit has none."""
    return _pooled(group, slice, _rows(weights.matrix(slice), np.absolute, np.maximum), np.maximum)


def _rows(matrix: Array, prepare: np.ufunc, combine: np.ufunc) -> Floats:
    """``combine`` over each row of ``prepare(matrix)``, shape (rows,), in double precision.

    Works block by block along whichever axis lies farther apart in memory; a whole-matrix
    temporary would cost more than the arithmetic.
    """
    rows, columns = matrix.shape
    totals = np.zeros(rows)
    by_rows = abs(matrix.strides[0]) >= abs(matrix.strides[1])
    length, other = (rows, columns) if by_rows else (columns, rows)
    step = max(1, BLOCK // max(1, other))
    with np.errstate(all="ignore"):
        for start in range(0, length if columns else 0, step):
            block = slice(start, start + step)
            if by_rows:
                totals[block] = combine.reduce(prepare(matrix[block]), axis=1, dtype=np.float64)
            else:
                part = combine.reduce(prepare(matrix[:, block]), axis=1, dtype=np.float64)
                totals = combine(totals, part)
    return finite(totals)


def _pooled(group: Group, slice: Slice, values: Floats, combine: np.ufunc) -> Floats:
    """``combine`` of the index values of each unit, (units,); NaN where a unit has no index here."""
    held = slice.units >= 0
    units = slice.units[held]
    pooled = np.zeros(group.size)
    combine.at(pooled, units, values[held])
    absent = np.ones(group.size, dtype=bool)
    absent[units] = False
    pooled[absent] = np.nan
    return pooled
