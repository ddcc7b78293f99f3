"""The layers of a graph that are linear maps of their input, and the sums that their outputs enter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from onnxprune.execution.program import reads
from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model
from onnxprune.reconstruction.columns import COLUMNS, Columns


@dataclass(frozen=True)
class Meeting:
    """A sum of two activations that a layer's output enters.

    Attributes:
        other: the other summand, as a value of the graph.
        total: the sum.
        factor: (channels,) what the layer's output is multiplied by on its way there.
    """

    other: str
    total: str
    factor: Array


@dataclass(frozen=True)
class LinearLayer:
    """A node that multiplies its input with a constant weight, and what belongs to it.

    Attributes:
        node: of the graph.
        columns: how its input is laid out as a matrix.
        source: the value that it reads.
        weight: the constant.
        bias: constant that is added, the node's own or that of an Add behind it; empty where none is.
        can_get_bias: whether the node itself may be given a bias.
        result: the value behind the bias.
        meeting: the sum that the result enters, if it does so without a non-linearity between.
    """

    node: NodeProto
    columns: Columns
    source: str
    weight: str
    bias: str
    can_get_bias: bool
    result: str
    meeting: Meeting | None

    @property
    def name(self) -> str:
        """The node's name, or that of its output."""
        return str(self.node.name or self.node.output[0])

    @property
    def fits_bias(self) -> bool:
        """Whether a constant term can be fitted."""
        return bool(self.bias) or self.can_get_bias


@dataclass(frozen=True)
class Left:
    """A layer that cannot be reconstructed, and why."""

    layer: str
    reason: str


def find_layers(model: Model) -> tuple[list[LinearLayer], list[Left]]:
    """Layers in graph order that can be fitted, and those that have to be left as they are."""
    finder = _Finder(model)
    found: list[LinearLayer] = []
    left: list[Left] = []
    for node in model.proto.graph.node:
        if node.domain or node.op_type not in COLUMNS:
            continue
        reason = finder.obstacle(node)
        if reason is None:
            continue
        if reason:
            left.append(Left(node.name or node.output[0], reason))
        else:
            found.append(finder.layer(node))
    return found, left


_FORMS = frozenset({"Cast", "DequantizeLinear", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that leave a constant what it is, in another form."""


class _Finder:
    def __init__(self, model: Model) -> None:
        self.constants = model.constants
        nodes = list(model.proto.graph.node)
        self.readers: dict[str, list[NodeProto]] = {}
        for node in nodes:
            for name in dict.fromkeys(reads(node)):
                self.readers.setdefault(name, []).append(node)
        self.makers = {name: node for node in nodes for name in node.output}
        self.uses = Counter(name for node in nodes for name in reads(node))
        self.outputs = {value.name for value in model.proto.graph.output}

    def obstacle(self, node: NodeProto) -> str | None:
        """Why a node cannot be fitted; empty where it can, None where it has no weight of its own."""
        if len(node.input) < 2 or all(name in self.constants for name in node.input[:2]):
            return None
        if node.input[0] in self.constants:
            return "its weight stands on the left"
        weight = self.constants.get(node.input[1])
        if weight is None:
            product = node.op_type == "MatMul" and not self._is_moved_constant(node.input[1])
            return None if product else "its weight is computed in the graph"
        if not weight.is_float:
            return "its weight is quantised"
        if self.uses[weight.name] > 1:
            return "its weight is shared with another layer"
        return COLUMNS[node.op_type].obstacle(node, weight.shape)

    def _is_moved_constant(self, name: str) -> bool:
        """Whether a value is a constant in another form or type, not an activation."""
        while (maker := self.makers.get(name)) is not None and maker.op_type in _FORMS:
            name = maker.input[0]
        return name in self.constants

    def layer(self, node: NodeProto) -> LinearLayer:
        columns = COLUMNS[node.op_type](node, self.constants[node.input[1]].shape)
        own = node.input[2] if columns.own_bias and len(node.input) > 2 else ""
        result, bias, can_get = node.output[0], own, columns.own_bias
        if own and (own not in self.constants or self.uses[own] > 1 or not self._plain(own, columns)):
            bias, can_get = "", False
        if not columns.own_bias:
            added = self._added_bias(result, columns)
            if added is not None:
                bias, result = added
        return LinearLayer(
            node=node,
            columns=columns,
            source=node.input[0],
            weight=node.input[1],
            bias=bias,
            can_get_bias=can_get and not own,
            result=result,
            meeting=self._meeting(result, columns),
        )

    def _plain(self, bias: str, columns: Columns) -> bool:
        """Whether a bias is one number a channel."""
        return self.constants[bias].size == columns.channels

    def _added_bias(self, value: str, columns: Columns) -> tuple[str, str] | None:
        """The constant of an Add behind a layer without a bias, and the sum."""
        node = self._only_reader(value)
        if node is None or node.op_type != "Add":
            return None
        name = next((n for n in node.input if n != value), "")
        constant = self.constants.get(name)
        fits = constant is not None and constant.size == columns.channels == constant.shape[-1]
        return (name, node.output[0]) if fits and self.uses[name] == 1 else None

    def _only_reader(self, value: str) -> NodeProto | None:
        own = self.readers.get(value, [])
        return own[0] if len(own) == 1 and value not in self.outputs and self.uses[value] == 1 else None

    def _meeting(self, value: str, columns: Columns) -> Meeting | None:
        factor = np.ones(columns.channels)
        while (node := self._only_reader(value)) is not None:
            if node.op_type in ("Add", "Sum") and len(node.input) == 2:
                other = next((n for n in node.input if n != value), "")
                return (
                    None if other in self.constants or not other else Meeting(other, node.output[0], factor)
                )
            scale = _FACTORS.get(node.op_type, _stop)(node, value, self.constants, columns)
            if scale is None or len(node.output) != 1:
                return None
            factor = factor * scale
            value = node.output[0]
        return None


Factor = Callable[[NodeProto, str, Mapping[str, Constant], Columns], "Array | None"]
"""What a node multiplies each channel by, (channels,) or (1,); None where it is no such node."""


def _stop(node: NodeProto, value: str, constants: Mapping[str, Constant], columns: Columns) -> Array | None:
    return None


def _same(node: NodeProto, value: str, constants: Mapping[str, Constant], columns: Columns) -> Array | None:
    return np.ones(1)


def _norm(node: NodeProto, value: str, constants: Mapping[str, Constant], columns: Columns) -> Array | None:
    if node.input[0] != value or any(name not in constants for name in node.input[1:5]):
        return None
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    scale, variance = (np.asarray(constants[node.input[i]].values(), np.float64) for i in (1, 4))
    return scale / np.sqrt(variance + epsilon)


def _times(node: NodeProto, value: str, constants: Mapping[str, Constant], columns: Columns) -> Array | None:
    constant = constants.get(next((n for n in node.input if n != value), ""))
    if constant is None or not constant.is_float:
        return None
    values = np.asarray(constant.values(), np.float64)
    if values.size == 1:
        return values.reshape(1)
    along = columns.channel_axis
    fits = values.ndim >= -along and values.shape[along] == values.size == columns.channels
    return values.reshape(-1) if fits else None


_FACTORS: Mapping[str, Factor] = {
    "BatchNormalization": _norm,
    "Identity": _same,
    "Dropout": _same,
    "Mul": _times,
}
