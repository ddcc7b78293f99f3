"""Evaluates the small integer sub-graphs with which exporters compute shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import defs
from onnx.reference import ReferenceEvaluator

from onnxprune.model.constants import Array

MAX_ELEMENTS = 1_000_000
MAX_FLOATS = 16
"""Longer float results are data, not shape arithmetic."""

NEVER = frozenset(
    {
        "ConstantOfShape",
        "Expand",
        "RandomNormal",
        "RandomUniform",
        "RandomNormalLike",
        "RandomUniformLike",
        "Multinomial",
        "Bernoulli",
    }
)

_SIMPLE = {
    "Identity": lambda x: x,
    "Add": lambda x, y: x + y,
    "Sub": lambda x, y: x - y,
    "Mul": lambda x, y: x * y,
}


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
    if node.op_type in _SIMPLE:
        results = [np.asarray(_SIMPLE[node.op_type](*operands))]
    else:
        try:
            feed = {name: value for name, value in zip(node.input, operands, strict=True) if name}
            results = [np.asarray(r) for r in ReferenceEvaluator(node, opsets=dict(opsets)).run(None, feed)]
        except Exception:  # the reference evaluator raises anything; an unknown value is always safe
            return None
    return results if all(_is_small(r) for r in results) else None


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
    try:
        schema = defs.get_schema(node.op_type, version, node.domain)
        found = onnx.shape_inference.infer_node_outputs(
            schema, node, dict(types), dict(values), opset_imports=opset_imports, ir_version=ir_version
        )
    except Exception:  # inference refuses what it cannot know; the value then stays unknown
        return {}
    if (schema.has_function or schema.has_context_dependent_function) and not all(
        _is_shaped(found.get(name)) for name in node.output if name
    ):
        return _infer_by_function(node, types, opset_imports)
    return dict(found)


def _is_shaped(found: onnx.TypeProto | None) -> bool:
    return found is not None and found.tensor_type.HasField("shape")


def _infer_by_function(
    node: onnx.NodeProto, types: Mapping[str, onnx.TypeProto], opset_imports: list[onnx.OperatorSetIdProto]
) -> dict[str, onnx.TypeProto]:
    """Types of an operator that is only specified as a function of others."""
    inputs = [
        onnx.helper.make_value_info(name, types[name]) for name in dict.fromkeys(node.input) if name in types
    ]
    graph = onnx.helper.make_graph(
        [node], "one", inputs, [onnx.ValueInfoProto(name=name) for name in node.output if name]
    )
    model = onnx.helper.make_model(graph, opset_imports=opset_imports, ir_version=8)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # as above
        return {}
    return {value.name: value.type for value in inferred.graph.output}


def _has_graph(node: onnx.NodeProto) -> bool:
    return any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute)


def _is_small(value: Array) -> bool:
    if np.issubdtype(value.dtype, np.integer) or value.dtype == np.bool_:
        return value.size <= MAX_ELEMENTS
    return np.issubdtype(value.dtype, np.floating) and value.size <= MAX_FLOATS
