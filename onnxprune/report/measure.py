"""Figures counted on what surgery left, not on what the plan predicted."""

from __future__ import annotations

from math import prod

from onnxprune.coupling import Coupling
from onnxprune.coupling.costs import WEIGHTS
from onnxprune.coupling.coupling import Survivors
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
    by_node = {found.site.index: found.out for found in reversed(coupling.engine.layers)}
    axes = list(by_node.values())[::-1]
    return tuple((len(axis), int(survivors.mask(axis).sum())) for axis in axes)


def _share(survivors: Survivors, axis: Axis) -> float:
    return float(survivors.mask(axis).mean()) if len(axis) else 1.0
