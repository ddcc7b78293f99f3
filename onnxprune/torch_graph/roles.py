"""Which constants of a graph are weights, to be trained, and which are part of its structure.

Most can be told by the operand that they are. A constant of an addition or a multiplication can be a bias or
a scale, but also a mask or the preprocessing of the input; these are told apart here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto

from onnxprune.model.constants import Array, Constant
from onnxprune.model.model import Model

WEIGHTS: Mapping[str, frozenset[int]] = {
    op: frozenset(positions)
    for op, positions in {
        "Attention": (),
        "BatchNormalization": (1, 2),
        "Conv": (1, 2),
        "ConvTranspose": (1, 2),
        "DeformConv": (1, 3),
        "Gemm": (0, 1, 2),
        "GroupNormalization": (1, 2),
        "GRU": (1, 2, 3),
        "InstanceNormalization": (1, 2),
        "LayerNormalization": (1, 2),
        "LSTM": (1, 2, 3, 7),
        "MatMul": (0, 1),
        "PRelu": (1,),
        "RMSNormalization": (1,),
        "RNN": (1, 2, 3),
        "SimplifiedLayerNormalization": (1,),
    }.items()
}
"""Operands that are weights whatever their size."""

_ALL = frozenset(range(16))
STRUCTURE: Mapping[str, frozenset[int]] = {
    op: frozenset(positions)
    for op, positions in {
        "BatchNormalization": (3, 4),
        "Clip": (1, 2),
        "CumSum": (1,),
        "DequantizeLinear": (1, 2),
        "Expand": (1,),
        "Dropout": (1, 2),
        "Gather": (1,),
        "GatherElements": (1,),
        "GatherND": (1,),
        "GridSample": (1,),
        "Max": _ALL,
        "Min": _ALL,
        "Mod": _ALL,
        "Pad": (2,),
        "Pow": (1,),
        "QuantizeLinear": (1, 2),
        "Reshape": (1,),
        "Resize": (1, 2, 3),
        "ScatterElements": (1,),
        "ScatterND": (1,),
        "Upsample": (1,),
        "Where": (0,),
    }.items()
}
"""Operands that are never weights."""

WITHOUT_GRADIENT = frozenset(
    "And ArgMax ArgMin BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil ConstantOfShape Equal "
    "EyeLike Floor Greater GreaterOrEqual Hardmax IsInf IsNaN Less LessOrEqual NonMaxSuppression NonZero Not "
    "OneHot Or Range Round Shape Sign Size Xor".split()
)
"""Operators behind which nothing is learned: their results do not change, or jump."""

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Where"})
"""Here a constant is a weight only if what it meets was computed with weights; before that, it prepares
the input."""

_ASSIGNMENTS = frozenset({"ScatterElements", "ScatterND"})

_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})

_LARGEST_WEIGHT = 1e4
_MASKED = -50.0
"""Constants with larger values, or of zeros and one value below this, are attention masks."""


def trained_constants(model: Model, outputs: Iterable[str]) -> frozenset[str]:
    """Names of the constants that are weights, given which values the module returns."""
    readers: dict[str, list[tuple[NodeProto, int]]] = defaultdict(list)
    for node in all_nodes(model.proto.graph):
        for position, name in enumerate(node.input):
            if name in model.constants and model.constants[name].is_float:
                readers[name].append((node, position))
    certain = {name for name, found in readers.items() if any(_is_weight(*reader) for reader in found)}
    reached = _reached_by_gradients(model.proto.graph, outputs)
    candidates = [name for name in readers if name in reached and name not in certain]
    doubtful = {name for name in candidates if _looks_trained(model.constants[name])}
    return frozenset(certain | set(_learned(model, certain, doubtful)))


def all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """The nodes of a graph, each after those inside it."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)
        yield node


def _is_weight(node: NodeProto, position: int) -> bool:
    return position in WEIGHTS.get(node.op_type, ())


def _is_structure(node: NodeProto, position: int) -> bool:
    return position in STRUCTURE.get(node.op_type, ())


def _reached_by_gradients(graph: GraphProto, outputs: Iterable[str]) -> set[str]:
    """The values that outputs depend on other than by comparison, as a shape, or as a bound."""
    reached = set(outputs)
    for node in reversed(list(all_nodes(graph))):
        if _passes_gradients(node) and any(name in reached for name in node.output):
            reached.update(name for i, name in enumerate(node.input) if not _is_structure(node, i))
            inner = (attribute.g.output for attribute in node.attribute if attribute.HasField("g"))
            reached.update(value.name for values in inner for value in values)
    return reached


def _passes_gradients(node: NodeProto) -> bool:
    if node.op_type == "Cast":
        return any(a.name == "to" and a.i in _FLOATS for a in node.attribute)
    return node.op_type not in WITHOUT_GRADIENT


def _looks_trained(constant: Constant) -> bool:
    return constant.size > 1 and not _is_mask(constant.values())


def _is_mask(values: Array) -> bool:
    wide = values.astype(np.float32, copy=False)
    least, largest = wide.min(), np.abs(wide).max()
    if not largest < _LARGEST_WEIGHT:  # infinities and NaN too
        return True
    return bool(least <= _MASKED and np.all((wide == 0) | (wide == least)))


def _learned(model: Model, certain: set[str], doubtful: set[str]) -> Iterator[str]:
    """The doubtful constants that act on what weights have made, or that move as tables and tokens do."""
    made = set(certain)
    fed = {value.name for value in model.proto.graph.input if value.name not in model.constants}
    for node in model.proto.graph.node:
        if not _prepares(node, doubtful, made) and not _assembles(node, fed):
            for position, name in enumerate(node.input):
                if name in doubtful and not _is_structure(node, position):
                    made.add(name)
                    yield name
        for known in (made, fed):
            if any(name in known for name in node.input):
                known.update(node.output)


def _prepares(node: NodeProto, doubtful: set[str], made: set[str]) -> bool:
    """Whether a node combines a constant with what no weight has touched yet."""
    others = [name for name in node.input if name and name not in doubtful]
    return node.op_type in _ARITHMETIC and bool(others) and not any(name in made for name in others)


def _assembles(node: NodeProto, fed: set[str]) -> bool:
    """Whether a node writes into a constant, as masks are made piece by piece."""
    return node.op_type in _ASSIGNMENTS and node.input[0] not in fed
