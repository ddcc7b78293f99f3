"""Figures counted on what surgery left, not on what the plan predicted."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from onnxprune.coupling import Coupling
from onnxprune.coupling.costs import WEIGHTS
from onnxprune.coupling.coupling import Survivors
from onnxprune.coupling.groups import Indices
from onnxprune.coupling.labels import Axis
from onnxprune.model import Constants, Model, stream, wire
from onnxprune.report.document import Change


def parameters(constants: Constants) -> int:
    """Elements of all floating-point and quantised constants."""
    return sum(c.size for c in constants.values() if c.is_float or c.data_type in WEIGHTS)


def file_bytes(model: Model) -> int:
    """Bytes that the model takes when it is written to one file."""
    return wire.length_of(stream.pieces(model, stream.inline))


def macs(coupling: Coupling, survivors: Survivors) -> Change:
    """Multiply-accumulates for one sample, before and after.

    The size model states each term of the source, with the batch taken out; here every term shrinks
    by what is left of each of its axes, products of several groups included.
    """
    sizes = coupling.structure.sizes
    lengths = [sum(n for n, _ in axis.parts) for axis in sizes.axes]
    before = after = 0.0
    for term, (_, axes) in zip(sizes.macs, coupling.engine.costs, strict=True):
        whole = term.factor * prod(lengths[axis] for axis in term.axes)
        before += whole
        after += whole * prod(_share(survivors, axis) for axis in axes)
    return round(before), round(after)


def channels(coupling: Coupling, survivors: Survivors) -> tuple[Change, ...]:
    """Output channels of every layer of the structure, before and after, in its order."""
    return tuple((len(axis), int(survivors.mask(axis).sum())) for axis in _filter_axes(coupling))


def removals(
    coupling: Coupling, removed_by: Mapping[str, Indices], criteria: int
) -> tuple[tuple[int, ...], ...]:
    """Output channels of every layer that each criterion removed, in the order of the structure.

    Args:
        coupling: of the source.
        removed_by: group -> (units,) position of the criterion that removed the unit, -1 for none.
        criteria: how many there are. A channel that goes for two units at once (of two groups) counts
            for the first criterion.
    """
    names = [group.name for group in coupling.structure.groups]
    found = []
    for axis in _filter_axes(coupling):
        earliest = np.full(len(axis), criteria)
        for place, units in coupling.units.rows(axis).items():
            by = removed_by.get(names[place])
            if by is not None:
                own = np.where(units >= 0, by[units], -1)
                earliest = np.where(own >= 0, np.minimum(own, earliest), earliest)
        found.append(tuple(np.bincount(earliest, minlength=criteria + 1)[:criteria].tolist()))
    return tuple(found)


def _filter_axes(coupling: Coupling) -> list[Axis]:
    """Axis of the output channels of every layer, in the order of the structure."""
    by_node = {found.site.index: found.out for found in reversed(coupling.engine.layers)}
    return list(by_node.values())[::-1]


def _share(survivors: Survivors, axis: Axis) -> float:
    return float(survivors.mask(axis).mean()) if len(axis) else 1.0
