"""Covariances of units, summed up batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxprune.calibration.carriers import Reading
from onnxprune.calibration.evidence import Look
from onnxprune.calibration.probes import GramNames, Probes
from onnxprune.calibration.task import Task
from onnxprune.calibration.units import rectangle
from onnxprune.coupling.groups import Floats, Indices
from onnxprune.model.constants import Array

NOISE = 1e-6
"""Deviation, as a share of the mean, that rounding in single precision makes by itself."""


@dataclass(eq=False)
class _Sum:
    """The sums for one reading: within a batch in single precision by the graph, over batches in double.

    Attributes:
        names: of input and outputs.
        present: units that the value holds.
        size: number of units of the group.
        shift: (present,) what the graph subtracts.
        count: positions so far.
        total: (present,) sum of the shifted activations.
        products: (present, present) sum of their products.
    """

    names: GramNames
    present: Indices
    size: int
    shift: Floats = field(init=False)
    count: int = 0
    total: Floats = field(init=False)
    products: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.shift = np.zeros(len(self.present))
        self.total = np.zeros(len(self.present))
        self.products = np.zeros((len(self.present), len(self.present)))

    def add(self, found: Mapping[str, Array]) -> None:
        positions = int(found[self.names.shape][1])
        self.count += positions
        self.total += found[self.names.mean].astype(np.float64) * positions
        self.products += found[self.names.gram]

    def covariance(self) -> Floats:
        """(units, units); NaN for units that the value does not hold."""
        mean = self.total / max(self.count, 1)
        own = self.products / max(self.count, 1) - np.outer(mean, mean)
        # what single precision cannot tell from a constant is one
        constant = np.sqrt(np.maximum(np.diagonal(own), 0.0)) <= NOISE * np.abs(self.shift + mean)
        own[constant] = own[:, constant] = 0.0
        if len(self.present) == self.size:
            return own
        whole = np.full((self.size, self.size), np.nan)
        whole[np.ix_(self.present, self.present)] = own
        return whole


class Covariances:
    """Covariances of the units of every group in every value that carries them.

    Args:
        task: what is measured.
        probes: where the measuring nodes go.
    """

    def __init__(self, task: Task, probes: Probes) -> None:
        self._sums: dict[tuple[str, int], _Sum] = {}
        self._readings = task.readings
        self.shifts: dict[str, Array] = {}
        sizes = {group.name: group.size for group in task.coupling.structure.groups}
        for group, own in task.readings.items():
            for n, reading in enumerate(own):
                self._sums[group, n] = self._attached(reading, sizes[group], probes)

    def _attached(self, reading: Reading, size: int, probes: Probes) -> _Sum:
        indices, present = rectangle(reading.units)
        names = probes.gram(reading.carrier, indices)
        self.shifts[names.shift] = np.zeros((len(present), 1), np.float32)
        return _Sum(names, present, size)

    def settle(self, found: Mapping[str, Array]) -> None:
        """Subtract the means of this run, which had no shifts, from all runs to come."""
        for own in self._sums.values():
            mean = found[own.names.mean]
            self.shifts[own.names.shift] = mean[:, None]
            own.shift = mean.astype(np.float64)

    def take(self, found: Mapping[str, Array], count: int) -> None:
        """Add the results of one run."""
        for own in self._sums.values():
            own.add(found)

    def look(self) -> Look:
        """(units, units) of every reading, by group."""

        def found(group: str) -> tuple[Floats, ...]:
            return tuple(self._sums[group, n].covariance() for n in range(len(self._readings[group])))

        return found
