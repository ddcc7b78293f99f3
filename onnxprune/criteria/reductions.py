"""How the scores of several filter slices of one group become one score a unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from onnxprune.coupling.groups import Floats

Reduction = Callable[[Floats], Floats]
"""(slices, units) -> (units,); NaN marks a unit that a slice does not hold."""


def _filled(rows: Floats, neutral: float) -> Floats:
    """The rows with the units that a slice does not hold replaced by ``neutral``."""
    filled: Floats = np.where(np.isnan(rows), neutral, rows)
    return filled


def _mean(rows: Floats) -> Floats:
    present = np.maximum((~np.isnan(rows)).sum(axis=0), 1)
    mean: Floats = _filled(rows, 0.0).sum(axis=0) / present
    return mean


def _max(rows: Floats) -> Floats:
    largest: Floats = _filled(rows, -np.inf).max(axis=0)
    return largest


def _sum(rows: Floats) -> Floats:
    total: Floats = _filled(rows, 0.0).sum(axis=0)
    return total


def _prod(rows: Floats) -> Floats:
    product: Floats = _filled(rows, 1.0).prod(axis=0)
    return product


def _first(rows: Floats) -> Floats:
    first = np.argmax(~np.isnan(rows), axis=0)
    taken: Floats = np.take_along_axis(rows, first[None, :], axis=0)[0]
    return taken


REDUCTIONS: Mapping[str, Reduction] = MappingProxyType(
    {"mean": _mean, "max": _max, "sum": _sum, "prod": _prod, "first": _first}
)
"""The reductions by the name that a user types."""


def reduce_slices(rows: Floats, reduction: Reduction) -> Floats:
    """One score a unit from one row a slice.

    Args:
        rows: (slices, units), NaN where a slice does not hold the unit.
        reduction: one of ``REDUCTIONS``, or a function like them.

    Returns:
        (units,); 0 for a unit that no slice holds.
    """
    if not rows.shape[0]:
        return np.zeros(rows.shape[1])
    nowhere = np.isnan(rows).all(axis=0)
    with np.errstate(all="ignore"):
        reduced: Floats = np.where(nowhere, 0.0, reduction(rows))
    return reduced
