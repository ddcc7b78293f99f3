"""Which channels a layer can do without once its other weights make up for them.

Optimal Brain Surgeon (Hassibi & Stork 1993) for a layer's output error, a group of columns at a time, as in
Frantar & Alistarh 2022 ("Optimal Brain Compression", arXiv 2208.11580) and Kurtic et al. 2023 ("ZipLM",
arXiv 2302.04089): with the inverse H^-1 of the inputs' second moments, removing the columns u of a weight W
and refitting the others costs ``tr(W_u^T ([H^-1]_uu)^-1 W_u)``. The cheapest unit goes, the matrices are
brought up to date, and so on until one is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.reconstruction.fit import damped

DAMPING = 1e-3
"""Added to the diagonal of the second moments, relative to its mean."""

AT_ONCE = 64
"""Of so many units that are left one goes at a time; of twice as many two, and so on."""

RISE = 1e-9
"""By what share a later loss is larger than the one before it at least, so that the order is strict."""


@dataclass(frozen=True, eq=False)
class Reader:
    """A product that reads the units.

    Attributes:
        moments: (columns, columns) mean products of its inputs.
        weight: (columns, channels).
        units: (columns,) the unit that each column belongs to, -1 for columns that stay.
        price: what an error of 1 counts.
    """

    moments: Floats
    weight: Floats
    units: Indices
    price: float


def eliminate(readers: Sequence[Sequence[Reader]], size: int) -> Floats:
    """The loss at which each unit goes, (units,): larger for units that go later.

    Args:
        readers: all that read the units, a list for each layer: the products of one layer err in
            different outputs, so their losses add up; several layers miss the same signal, so their
            errors add up as amplitudes do, ``(sum of sqrt(loss))^2``.
        size: number of units.
    """
    layers = [[_State(reader, size) for reader in layer] for layer in readers]
    states = [state for layer in layers for state in layer]

    def costs_of(units: Indices) -> Floats:
        amplitude = np.zeros(len(units))
        for layer in layers:
            amplitude += np.sqrt(sum((state.costs(units) for state in layer), np.zeros(len(units))))
        return amplitude**2

    losses = np.zeros(size)
    left = np.arange(size)
    last = 0.0
    while len(left) > 1:
        costs = costs_of(left)
        number = max(1, len(left) // AT_ONCE) if len(left) > AT_ONCE else 1
        going = np.argsort(costs, kind="stable")[: min(number, len(left) - 1)]
        for place in going:
            last = max(float(costs[place]), last * (1 + RISE), np.finfo(float).tiny)
            losses[left[place]] = last
        gone = left[going]
        left = np.delete(left, going)
        for state in states:
            state.remove(gone)
    rest = costs_of(left)
    losses[left] = max(float(rest.max(initial=0.0)), last * (1 + 1e-6))
    return losses


class _State:
    """One reader on the way: the inverse of its moments and its refitted weight."""

    def __init__(self, reader: Reader, size: int) -> None:
        self.price = reader.price
        self.inverse = np.linalg.inv(damped(reader.moments[None], DAMPING))[0]
        self.weight = reader.weight.astype(np.float64)
        order = np.argsort(reader.units, kind="stable")
        bounds = np.searchsorted(reader.units[order], np.arange(size + 1))
        self.columns = [order[a:b] for a, b in pairwise(bounds)]

    def costs(self, units: Indices) -> Floats:
        """What removing each of the units costs, (units,)."""
        found = np.zeros(len(units))
        widths = np.array([len(self.columns[u]) for u in units])
        for width in np.unique(widths[widths > 0]):
            own = np.flatnonzero(widths == width)
            columns = np.stack([self.columns[units[i]] for i in own])
            blocks = self.inverse[columns[:, :, None], columns[:, None, :]]
            weights = self.weight[columns]
            found[own] = np.einsum("uko,uko->u", weights, np.linalg.solve(blocks, weights))
        return self.price * np.maximum(found, 0.0)

    def remove(self, units: Indices) -> None:
        gone = np.concatenate([self.columns[u] for u in units])
        if not len(gone):
            return
        keep = np.ones(len(self.inverse), dtype=bool)
        keep[gone] = False
        factor = np.linalg.solve(self.inverse[np.ix_(gone, gone)], self.inverse[gone])
        self.weight = (self.weight - factor.T @ self.weight[gone])[keep]
        self.inverse = (self.inverse - self.inverse[:, gone] @ factor)[np.ix_(keep, keep)]
        place = np.cumsum(keep) - 1
        empty = np.zeros(0, dtype=np.int64)
        lost = set(units.tolist())
        self.columns = [empty if u in lost else place[own] for u, own in enumerate(self.columns)]
