"""Units as vectors: what criteria compare that look for units which resemble each other."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats, Group, Slice
from onnxprune.criteria.weights import Mask
from onnxprune.model.constants import Array

BLOCK = 1 << 22
"""Numbers that are multiplied at a time."""

_LARGE, _HUGE = 1e15, 1e150
"""Sums of squares stay finite below the one in single precision, below the other in double."""


def inner_products(vectors: Array, *, centred: bool = False) -> Floats:
    """Inner products of all pairs of rows, (rows, rows), summed up in double precision block by block.

    Args:
        vectors: (rows, n); what is no number counts as 0.
        centred: whether the mean row is subtracted first, which keeps differences of products exact.
    """
    count, length = vectors.shape
    products = np.zeros((count, count))
    step = max(1, BLOCK // max(1, count))
    for start in range(0, length, step):
        block = _multipliable(np.nan_to_num(vectors[:, start : start + step], posinf=0.0, neginf=0.0))
        block = block - block.mean(axis=0) if centred else block
        products += block @ block.T
    return products


def _multipliable(block: Array) -> Array:
    """Numbers of which no product overflows: in double precision where they are large, and cut at 1e150."""
    if block.size and float(np.abs(block).max()) > _LARGE:  # half precision has no such number
        return np.clip(block.astype(np.float64), -_HUGE, _HUGE)
    return block


def unit_vectors(group: Group, found: Slice, rows: Array) -> tuple[Array, Mask]:
    """The rows of each unit's indices side by side.

    Args:
        group: whose units are compared.
        found: an axis of a constant; several of its indices may belong to one unit (heads).
        rows: (length of the axis, n), a vector for each index.

    Returns:
        (units, most indices of a unit * n), 0 where a unit has fewer indices, and (units,) whether it
        has any.
    """
    indices = np.flatnonzero(found.units >= 0)
    indices = indices[np.argsort(found.units[indices], kind="stable")]
    units = found.units[indices]
    many = np.bincount(units, minlength=group.size)
    if (many == 1).all():
        return rows[indices], many > 0
    place = np.arange(len(units)) - np.repeat(np.cumsum(many) - many, many)
    vectors = np.zeros((group.size, int(many.max(initial=0)), rows.shape[1]), dtype=rows.dtype)
    vectors[units, place] = rows[indices]
    return vectors.reshape(group.size, -1), many > 0
