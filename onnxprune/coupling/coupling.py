"""The finished coupling of one model: groups, costs, and what survives a choice of units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.engine import Engine
from onnxprune.coupling.groups import Indices, Structure
from onnxprune.coupling.labels import PINNED, Axis
from onnxprune.coupling.partners import Granularity
from onnxprune.coupling.structure import UnitMap, build_structure
from onnxprune.model.model import Model
from onnxprune.model.trace import TracePair, trace_pair


@dataclass(frozen=True)
class Survivors:
    """What is left once some units are gone.

    Attributes:
        gone: for every label whether its indices are removed.
    """

    gone: npt.NDArray[np.bool_]

    def mask(self, axis: Axis) -> npt.NDArray[np.bool_]:
        """True where the index survives, shape (length,)."""
        return ~self.gone[axis]


@dataclass(frozen=True)
class Coupling:
    """How the channels of one model hang together.

    Attributes:
        model: the source model.
        traces: its shapes.
        engine: the visited graph; surgery reads the sites from it.
        units: which leaf is which unit of which group.
        structure: groups, layers and the cost model.
    """

    model: Model
    traces: TracePair
    engine: Engine
    units: UnitMap
    structure: Structure

    def survivors(self, kept: Mapping[str, Indices]) -> Survivors:
        """What survives when each named group keeps the given units (ascending positions).

        Args:
            kept: group name to kept unit positions; groups that are not named keep all.

        Raises:
            KeyError: there is no such group.
        """
        labels = self.engine.labels
        removed = np.zeros(len(labels), dtype=bool)
        for name, positions in kept.items():
            leaves = self.units.leaves[name]
            lost = np.ones(len(leaves), dtype=bool)
            lost[positions] = False
            removed[leaves[lost]] = True
        canonical = self.units.canonical
        gone = removed[canonical]
        for label in self.units.products:
            if any(removed[member] for member in labels.members(label)):
                removed[label] = True
        if self.units.products:
            gone = removed[canonical]
        gone[canonical == PINNED] = False
        return Survivors(gone)


def couple(model: Model, *, granularity: Granularity = "inner") -> Coupling:
    """Find out which channels of a model can only be removed together.

    Args:
        model: the model; it is only read.
        granularity: where an axis is made of two factors, which one is offered for pruning:
            ``inner`` takes dimensions within attention heads and channels within convolution groups,
            ``outer`` whole heads and whole groups.
    """
    traces = trace_pair(model)
    engine = Engine(model, traces)
    engine.run()
    units, structure = build_structure(engine, granularity)
    return Coupling(model, traces, engine, units, structure)
