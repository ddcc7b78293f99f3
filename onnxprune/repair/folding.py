"""Writes stand-ins for removed units into the weights and biases of the layers that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from onnxprune.coupling import Coupling, Group, couple
from onnxprune.coupling.engine import Engine
from onnxprune.coupling.groups import Indices, Role
from onnxprune.model import Model
from onnxprune.model.constants import Array, Constant
from onnxprune.repair.fold import Reader, add_bias, bias_change
from onnxprune.repair.moments import StandIns
from onnxprune.surgery import apply

UNWEIGHTED = "it reads the channels with weights that are computed in the graph, shared, or quantised"
UNBIASED = "it cannot take a bias of its own"
OF_ANOTHER_FORM = "its operator is not one of Conv, Gemm and MatMul with plain attributes"


def reader_of(group: Group, engine: Engine, node: int) -> Reader | str:
    """A node as a reader of a group that can be rewritten, or the reason why it cannot."""
    site, _ = engine.sites[node]
    own = [s for s in group.slices if s.role is Role.INPUT and s.constant in site.node.input]
    if len(own) != 1 or not engine.model.constants[own[0].constant].is_float:
        return UNWEIGHTED
    name = own[0].constant
    if sum(list(n.input).count(name) for n in engine.model.proto.graph.node) != 1:
        return UNWEIGHTED
    position = list(site.node.input).index(name)
    if position > 1 or not _plain(site.node, position) or len(engine.model.constants[name].shape) < 2:
        return OF_ANOTHER_FORM
    return Reader(site.node, own[0], site.node.input[1 - position])


def _plain(node: onnx.NodeProto, position: int) -> bool:
    """Whether a constant that enters the node adds a constant to each output channel, borders aside."""
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "Conv":
        return position == 1
    factors = attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0
    return (
        node.op_type in ("Gemm", "MatMul") and position == 1 and factors and not attributes.get("transA", 0)
    )


class Folding:
    """Weights, biases and graph of the source, edited apart from it.

    Args:
        coupling: of the source.
    """

    def __init__(self, coupling: Coupling) -> None:
        self._coupling = coupling
        self._proto = onnx.ModelProto()
        self._proto.CopyFrom(coupling.model.proto)
        self._weights: dict[str, Array] = {}
        self._biases: dict[str, Constant] = {}

    def fold(self, reader: Reader, found: StandIns) -> str:
        """Let kept units and a bias stand in for removed ones; gives the reason where that cannot be."""
        units, name = reader.weight.units, reader.weight.constant
        source = self._coupling.model.constants[name]
        level = np.zeros(len(units))
        for unit, offset in zip(found.gone.tolist(), found.offset.tolist(), strict=True):
            level[units == unit] = offset
        if level.any() and not self._shift(reader, level, np.asarray(source.values())):
            return UNBIASED
        if name not in self._weights:
            self._weights[name] = np.array(source.values())
        self._add(reader, found)
        return ""

    def cut(self, kept: Mapping[str, Indices]) -> Model:
        """The edited model with the units removed.

        Args:
            kept: group -> kept units.
        """
        source = self._coupling.model
        edited = {name: source.constants[name].replaced(values) for name, values in self._weights.items()}
        constants = source.constants.with_changes({**edited, **self._biases})
        return apply(couple(replace(source, proto=self._proto, constants=constants)), kept).model

    def _shift(self, reader: Reader, level: Array, weight: Array) -> bool:
        """Add to a reader's bias what constants (contracted indices,) add to its output."""
        change = bias_change(reader, level, {reader.weight.constant: weight})
        constants = self._coupling.model.constants.with_changes(self._biases)
        update = add_bias(self._proto, constants, reader, change)
        self._biases.update(update or {})
        return update is not None

    def _add(self, reader: Reader, found: StandIns) -> None:
        """``W[:, kept] += scale * W[:, gone]``, index by index where a unit has several."""
        weights = self._weights[reader.weight.constant]
        rows = np.moveaxis(weights, reader.weight.axis, 0)
        source = rows.astype(np.float64)
        sums = source.copy()
        for gone, kept, scale in zip(found.gone, found.kept, found.scale, strict=True):
            to, by = np.flatnonzero(reader.weight.units == kept), np.flatnonzero(reader.weight.units == gone)
            if scale and len(to) == len(by):
                sums[to] += scale * source[by]
        rows[...] = sums.astype(weights.dtype)
