"""What a removed slice of a constant is set to, so that it takes no part: zero, with two exceptions.

A constant that something is divided by gets one. A quantised constant gets its zero point, the integer
that stands for zero. The two tables are the only operators that verification knows by name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import GraphProto, NodeProto

from onnxprune.model.constants import Array, Constants
from onnxprune.model.model import Model

_DIVISORS = {"Div": 1, "QuantizeLinear": 1, "Reciprocal": 0, "Log": 0}
"""Operator and the position of the operand that must not be zero."""

_CARRIERS = frozenset(
    ["Identity", "Cast", "CastLike", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Expand", "Sqrt", "Abs"]
)
"""Operators that hand zeros and ones on to a divisor."""

_ZERO_POINTS = {
    "DequantizeLinear": ((0, 2),),
    "QLinearConv": ((0, 2), (3, 5)),
    "QLinearMatMul": ((0, 2), (3, 5)),
    "ConvInteger": ((0, 2), (1, 3)),
    "MatMulInteger": ((0, 2), (1, 3)),
}
"""Operator and its pairs of (quantised operand, zero point)."""


def neutral_values(model: Model) -> Mapping[str, Array]:
    """Constants whose neutral value is not zero, with that value, which broadcasts to their shape."""
    graph = model.proto.graph
    found: dict[str, Array] = {
        name: np.ones(1, np.float32) for name in _divisors(graph) if name in model.constants
    }
    for node in graph.node:
        for quantised, point in _ZERO_POINTS.get(node.op_type, ()):
            name = _constant_input(node, quantised, model.constants)
            zero = _constant_input(node, point, model.constants)
            if name and zero:
                found[name] = _aligned(node, model.constants[name].shape, model.constants[zero].values())
    return found


def _divisors(graph: GraphProto) -> set[str]:
    found = {node.input[_DIVISORS[node.op_type]] for node in graph.node if node.op_type in _DIVISORS}
    for node in reversed(graph.node):
        if node.op_type in _CARRIERS and node.output[0] in found:
            found.add(node.input[0])
    return found


def _constant_input(node: NodeProto, i: int, constants: Constants) -> str:
    name = node.input[i] if i < len(node.input) else ""
    return name if name in constants else ""


def _aligned(node: NodeProto, shape: tuple[int, ...], zero: Array) -> Array:
    """A zero point so that it broadcasts: one value, or one an index of the operator's axis."""
    if zero.size == 1:
        return zero.reshape((1,) * len(shape))
    if zero.ndim == len(shape):
        return zero
    given = next((a.i for a in node.attribute if a.name == "axis"), 1)
    axis = {"DequantizeLinear": given}.get(node.op_type, len(shape) - 1 if "MatMul" in node.op_type else 0)
    aligned = [1] * len(shape)
    aligned[axis % len(shape)] = zero.size
    return zero.reshape(aligned)
