"""Evaluates the small integer sub-graphs with which exporters compute shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import onnx
from onnx import defs
from onnx.reference import ReferenceEvaluator

from onnxprune.model.constants import Array

SHAPED_AS_FIRST = frozenset({"GroupNormalization", "MeanVarianceNormalization"})
"""Operators that are specified as functions and come without shape inference."""

MAX_ELEMENTS = 1_000_000
MAX_COMPUTED = 100_000
"""Elements that operators other than the simplest may take and make."""
MAX_FLOATS = 16
"""Longer float results are data, not shape arithmetic."""

NEVER = frozenset(
    {
        "RandomNormal",
        "RandomUniform",
        "RandomNormalLike",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    }
)

FILLS = frozenset({"ConstantOfShape", "Expand"})
"""Operators that repeat one number; their float results are data that channels run along."""

_KEEPING = frozenset(
    """Identity Cast Reshape Squeeze Unsqueeze Flatten Transpose Slice Split Concat ReduceProd ReduceSum
    ReduceMax ReduceMin ReduceMean ArgMax ArgMin Neg Abs Floor Ceil Round Sqrt Not Sign Shape Size
    CumSum""".split()
)
"""Operators whose outputs have no more elements than their inputs together."""
_PICKING = frozenset("Gather GatherElements GatherND".split())
"""Operators with at most one element for each pair of elements of their operands."""
_ELEMENTWISE = frozenset(
    """Add Sub Mul Div Mod Pow Min Max And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual Where Clip
    BitShift""".split()
)

_SIMPLE: dict[str, Callable[..., Array]] = {
    "Identity": lambda x: x,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
}


def _unsqueeze(x: Array, axes: Sequence[int], **_: object) -> Array:
    return np.expand_dims(x, tuple(axes))


def _squeeze(x: Array, axes: Sequence[int], **_: object) -> Array:
    return np.squeeze(x, tuple(axes))


def _slice(x: Array, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int] | None = None) -> Array:
    bounds = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes or range(len(starts)), strict=True):
        bounds[axis] = slice(start, end)
    return x[tuple(bounds)]


_BY_ATTRIBUTE: dict[str, tuple[str, Callable[..., Array]]] = {
    "Unsqueeze": ("axes", _unsqueeze),
    "Squeeze": ("axes", _squeeze),
    "Slice": ("starts", _slice),
}
"""Old forms, told by an attribute, which the reference evaluator no longer knows."""


def evaluate(
    node: onnx.NodeProto, operands: Sequence[Array | None], opsets: Mapping[str, int]
) -> list[Array] | None:
    """Outputs of one node for known operands, or None where it is not shape arithmetic.

    Args:
        node: the node; it must not hold a sub-graph.
        operands: one array an input, None for an absent optional one.
        opsets: opset version by domain.
    """
    if node.domain not in ("", "ai.onnx") or node.op_type in NEVER or _has_graph(node):
        return None
    if not _is_bounded(node, operands, opsets):
        return None
    try:
        with np.errstate(all="ignore"):
            results = _results(node, operands, opsets)
    except Exception:  # NumPy and the reference evaluator raise anything; an unknown value is always safe
        return None
    longest_float = 1 if node.op_type in FILLS else MAX_FLOATS
    return results if all(_is_small(r, longest_float) for r in results) else None


def _results(
    node: onnx.NodeProto, operands: Sequence[Array | None], opsets: Mapping[str, int]
) -> list[Array]:
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    telling, old_form = _BY_ATTRIBUTE.get(node.op_type, ("", None))
    if old_form is not None and telling in attributes:
        return [np.asarray(old_form(operands[0], **attributes))]
    if node.op_type in _SIMPLE:
        return [np.asarray(_SIMPLE[node.op_type](*operands))]
    feed = {name: value for name, value in zip(node.input, operands, strict=True) if name}
    return [np.asarray(r) for r in ReferenceEvaluator(node, opsets=dict(opsets)).run(None, feed)]


def _is_bounded(node: onnx.NodeProto, operands: Sequence[Array | None], opsets: Mapping[str, int]) -> bool:
    """Whether a node can be evaluated in little time and memory; looked at before anything is allocated.

    Operators that are not listed may make any size out of one number, or compute for long: by shape
    inference they have to be small.
    """
    given = [operand for operand in operands if operand is not None]
    if node.op_type in _KEEPING:
        return True
    if node.op_type in _PICKING:
        return prod(max(1, operand.size) for operand in given) <= MAX_ELEMENTS
    if node.op_type in _ELEMENTWISE:
        return _broadcast_size(given) <= MAX_ELEMENTS
    if any(operand.size > MAX_COMPUTED for operand in given):
        return False
    tensors = [
        onnx.numpy_helper.from_array(np.asarray(operand, order="C"), name)
        for name, operand in zip(node.input, operands, strict=True)
        if operand is not None
    ]
    types = {t.name: onnx.helper.make_tensor_type_proto(t.data_type, t.dims) for t in tensors}
    imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    found = infer(node, types, {t.name: t for t in tensors}, imports, onnx.IR_VERSION)
    sizes = [_stated_size(found.get(name)) for name in node.output if name]
    return all(size is not None and size <= MAX_COMPUTED for size in sizes)


def _broadcast_size(operands: Sequence[Array]) -> int:
    """Elements of operands that are broadcast to each other; 0 where they cannot be."""
    try:
        return prod(np.broadcast_shapes(*(operand.shape for operand in operands)))
    except ValueError:
        return 0


def _stated_size(found: onnx.TypeProto | None) -> int | None:
    """Elements of a tensor of a type, None where its shape is not known."""
    if found is None or not found.HasField("tensor_type") or not found.tensor_type.HasField("shape"):
        return None
    dims = found.tensor_type.shape.dim
    return prod(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None


def infer(
    node: onnx.NodeProto,
    types: Mapping[str, onnx.TypeProto],
    values: Mapping[str, onnx.TensorProto],
    opset_imports: list[onnx.OperatorSetIdProto],
    ir_version: int,
) -> dict[str, onnx.TypeProto]:
    """Types of a node's outputs, empty where the operator or an input is unknown."""
    version = {o.domain: o.version for o in opset_imports}.get(node.domain)
    if version is None or not defs.has(node.op_type, node.domain):
        return {}
    if node.op_type in SHAPED_AS_FIRST and node.input[0] in types:
        return {node.output[0]: types[node.input[0]]}
    try:
        schema = defs.get_schema(node.op_type, version, node.domain)
        found = onnx.shape_inference.infer_node_outputs(
            schema, node, dict(types), dict(values), opset_imports=opset_imports, ir_version=ir_version
        )
    except Exception:  # inference refuses what it cannot know; the value then stays unknown
        return {}
    return dict(found)


def _has_graph(node: onnx.NodeProto) -> bool:
    return any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute)


def _is_small(value: Array, longest_float: int) -> bool:
    if np.issubdtype(value.dtype, np.integer) or value.dtype == np.bool_:
        return value.size <= MAX_ELEMENTS
    return np.issubdtype(value.dtype, np.floating) and value.size <= longest_float
