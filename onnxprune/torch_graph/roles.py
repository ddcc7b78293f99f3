"""Which constants of a graph are weights, to be trained, and which are part of its structure.

Most can be told by the operand that they are. A constant of an addition or a multiplication can be a bias or
a scale, but also a mask or the preprocessing of the input; these are told apart here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from onnx import GraphProto, NodeProto

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
        "ConstantOfShape": _ALL,
        "CumSum": (1,),
        "DequantizeLinear": (1, 2),
        "Dropout": (1, 2),
        "Equal": _ALL,
        "Greater": _ALL,
        "GreaterOrEqual": _ALL,
        "GridSample": (1,),
        "Less": _ALL,
        "LessOrEqual": _ALL,
        "Max": _ALL,
        "Min": _ALL,
        "Mod": _ALL,
        "OneHot": _ALL,
        "Pad": (2,),
        "Pow": (1,),
        "QuantizeLinear": (1, 2),
        "Range": _ALL,
        "Resize": (1, 2, 3),
        "Upsample": (1,),
        "Where": (0,),
    }.items()
}
"""Operands that are never weights."""

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Where"})
"""Here a constant is a weight only if what it meets was computed with weights; before that, it prepares
the input."""

_LARGEST_WEIGHT = 1e4
_MASKED = -50.0
"""Constants with larger values, or of zeros and one value below this, are attention masks."""


def trained_constants(model: Model) -> frozenset[str]:
    """Names of the constants that are weights."""
    readers: dict[str, list[tuple[NodeProto, int]]] = defaultdict(list)
    for node in all_nodes(model.proto.graph):
        for position, name in enumerate(node.input):
            if name in model.constants and model.constants[name].is_float:
                readers[name].append((node, position))
    certain = {name for name, found in readers.items() if any(_is_weight(*reader) for reader in found)}
    doubtful = {
        name
        for name, found in readers.items()
        if name not in certain
        and not all(_is_structure(*reader) for reader in found)
        and _looks_trained(model.constants[name])
    }
    return frozenset(certain | set(_learned(model, certain, doubtful)))


def all_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    """The nodes of a graph and of those inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)


def _is_weight(node: NodeProto, position: int) -> bool:
    return position in WEIGHTS.get(node.op_type, ())


def _is_structure(node: NodeProto, position: int) -> bool:
    return position in STRUCTURE.get(node.op_type, ())


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
    for node in model.proto.graph.node:
        doubted = [name for name in node.input if name in doubtful]
        others = [name for name in node.input if name and name not in doubtful]
        prepares = node.op_type in _ARITHMETIC and others and not any(name in made for name in others)
        if doubted and not prepares:
            for position, name in enumerate(node.input):
                if name in doubtful and not _is_structure(node, position):
                    made.add(name)
                    yield name
        if any(name in made for name in node.input):
            made.update(node.output)
