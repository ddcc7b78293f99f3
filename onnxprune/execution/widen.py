"""Turns bfloat16 into float32 throughout a program: ONNX Runtime has no bfloat16 kernels for the CPU.

Both sides of a comparison compute in float32 then. Weights are fed as they are and cast where they are
read, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from onnxprune.execution.program import Program, first_readers, sub_graphs

_NARROW, _WIDE = TensorProto.BFLOAT16, TensorProto.FLOAT
_TYPE_ATTRIBUTES = ("to", "dtype")


def widen(program: Program) -> None:
    """Replace the element type everywhere in a finished program; often it occurs nowhere."""
    graph = program.proto.graph
    narrow = [name for name, constant in program.weights.items() if constant.data_type == _NARROW]
    _widen_graph(graph)
    for function in program.proto.functions:
        _widen_nodes(function.node)
    readers = first_readers(graph)
    for name in narrow:
        source = program.renamed(name, f"{name}/narrow")
        cast = program.node("Cast", [source], name, to=_WIDE)
        program.before.setdefault(readers.get(name, 0), []).append(cast)
    fed = set(program.weights)
    for value in graph.input:
        if value.name in fed and program.weights[value.name].data_type == _NARROW:
            value.type.tensor_type.elem_type = _NARROW
    program.finish()


def _widen_graph(graph: GraphProto) -> None:
    for value in _values(graph):
        if value.type.tensor_type.elem_type == _NARROW:
            value.type.tensor_type.elem_type = _WIDE
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    _widen_nodes(graph.node)


def _widen_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name in _TYPE_ATTRIBUTES and attribute.i == _NARROW:
                attribute.i = _WIDE
            if attribute.HasField("t"):
                _widen_tensor(attribute.t)
        for graph in sub_graphs(node):
            _widen_graph(graph)


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type == _NARROW:
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _values(graph: GraphProto) -> Iterator[ValueInfoProto]:
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
