"""From the axes of a value to samples and units."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration.carriers import Carrier
from onnxprune.coupling.groups import Floats, Indices
from onnxprune.model.constants import Array


def by_sample(values: Array, carrier: Carrier, count: int, *, total: bool = False) -> Array:
    """What was reduced to the axes of samples and channels, as (samples, channels).

    Args:
        values: the two axes in the carrier's order, further ones of length 1; the channels alone where the
            carrier has no samples.
        carrier: the value that was reduced.
        count: number of samples that were run; a longer axis holds several rows of each, which are averaged.
        total: whether these rows are summed up instead.
    """
    if carrier.batch is None:
        return values.reshape(1, carrier.channels)
    rows: Array = values.reshape(carrier.channels, -1).T if carrier.channel < carrier.batch else values
    rows = rows.reshape(-1, carrier.channels)
    if len(rows) == count:
        return rows
    several = rows.reshape(count, -1, carrier.channels)
    together: Array = several.sum(axis=1) if total else several.mean(axis=1)
    return together


def by_unit(values: Array, units: Indices, size: int) -> Floats:
    """Mean over the channels of each unit, (samples, channels) -> (samples, units); NaN where it has none."""
    order, starts, present = segments(units)
    found = np.full((len(values), size), np.nan)
    found[:, present] = sum_by_unit(values, units, size)[:, present] / np.diff([*starts, len(order)])
    return found


def sum_by_unit(values: Array, units: Indices, size: int) -> Floats:
    """Sum over the channels of each unit, (samples, channels) -> (samples, units)."""
    order, starts, present = segments(units)
    found = np.zeros((len(values), size))
    if len(order):
        found[:, present] = np.add.reduceat(values[:, order].astype(np.float64), starts, axis=1)
    return found


def segments(units: Indices) -> tuple[Indices, Indices, Indices]:
    """The indices sorted by unit, without those of none; where each unit begins; which units these are."""
    order = np.argsort(units, kind="stable")
    order = order[np.searchsorted(units[order], 0) :]
    present, starts = np.unique(units[order], return_index=True)
    return order, starts, present


def rectangle(units: Indices) -> tuple[Indices, Indices]:
    """The indices of each unit as rows, (units, indices of each), and which units these are.

    Where some units have fewer indices than others, the first ones of each are taken.
    """
    order, starts, present = segments(units)
    shortest = int(np.diff([*starts, len(order)]).min(initial=len(order)))
    return order[starts[:, None] + np.arange(shortest)], present
