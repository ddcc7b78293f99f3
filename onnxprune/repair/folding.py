"""Writes stand-ins for removed units into the weights and biases of the layers that read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx

from onnxprune.coupling import Coupling, Group, couple
from onnxprune.coupling.groups import Indices, Role
from onnxprune.model import Model
from onnxprune.model.constants import Array, Constant
from onnxprune.repair.fold import Reader, add_bias, bias_change
from onnxprune.repair.moments import StandIns
from onnxprune.surgery import apply

UNWEIGHTED = "it reads the channels with weights that are computed in the graph, shared, or quantised"
UNBIASED = "it cannot take a bias of its own"
OF_ANOTHER_FORM = "its operator is not one of Conv, Gemm and MatMul with plain attributes"


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
        self._uses = Counter(name for node in self._proto.graph.node for name in node.input)

    def reader(self, group: Group, node: int) -> Reader | str:
        """A node, by its index, as a reader of a group that can be rewritten, or why it cannot be."""
        engine = self._coupling.engine
        site, _ = engine.sites[node]
        own = [s for s in group.slices if s.role is Role.INPUT and s.constant in site.node.input]
        if len(own) != 1 or self._uses[own[0].constant] != 1:
            return UNWEIGHTED
        weight = engine.model.constants[own[0].constant]
        position = list(site.node.input).index(weight.name)
        if not weight.is_float:
            return UNWEIGHTED
        if position > 1 or not _plain(site.node, position) or len(weight.shape) < 2:
            return OF_ANOTHER_FORM
        return Reader(site.node, own[0], site.node.input[1 - position])

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
        indices = _by_unit(reader.weight.units)
        for kept in np.unique(found.kept[found.scale != 0]).tolist():
            to = indices.get(kept, _NONE)
            total = rows[to].astype(np.float64)
            for n in np.flatnonzero((found.kept == kept) & (found.scale != 0)):
                by = indices.get(int(found.gone[n]), _NONE)
                if len(to) == len(by):
                    total += found.scale[n] * rows[by].astype(np.float64)
            rows[to] = total.astype(weights.dtype)


_NONE: Indices = np.zeros(0, dtype=np.int64)


def _by_unit(units: Indices) -> dict[int, Indices]:
    """Ascending indices of each unit that has any."""
    order = np.argsort(units, kind="stable")
    present, starts = np.unique(units[order], return_index=True)
    return dict(zip(present.tolist(), np.split(order, starts[1:]), strict=True))
