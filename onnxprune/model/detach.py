"""Split a serialized model into a light graph and its constants, without copying the bulk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

from onnxprune.model import wire
from onnxprune.model.constants import Constant, Constants
from onnxprune.model.model import BULK_BYTES
from onnxprune.model.tensors import SourceTensor

GRAPH: int = ModelProto.DESCRIPTOR.fields_by_name["graph"].number
NODE: int = GraphProto.DESCRIPTOR.fields_by_name["node"].number
INITIALIZER: int = GraphProto.DESCRIPTOR.fields_by_name["initializer"].number
ATTRIBUTE: int = NodeProto.DESCRIPTOR.fields_by_name["attribute"].number
VALUE: int = AttributeProto.DESCRIPTOR.fields_by_name["t"].number
_OP_TYPE: int = NodeProto.DESCRIPTOR.fields_by_name["op_type"].number

_LISTS = {"value_floats": TensorProto.FLOAT, "value_ints": TensorProto.INT64}
_SCALARS = {"value_float": TensorProto.FLOAT, "value_int": TensorProto.INT64}

_SIGNS = (b"location", b"p\x01", b"p\x81")
"""One of them is in every message that has a tensor with external data: the key of the place, or the field
that says so, also where its number takes more bytes than it needs. A look at every tensor takes longer."""


@dataclass
class Detached:
    """What a serialized model falls apart into.

    Attributes:
        proto: the graph, bulk emptied.
        initializers: the initializers of the main graph, in stored order.
        nodes: the large tensors of Constant nodes of the main graph, by output name.
        mentions_files: whether any tensor may have external data.
    """

    proto: ModelProto = field(default_factory=ModelProto)
    initializers: list[SourceTensor] = field(default_factory=list)
    nodes: dict[str, SourceTensor] = field(default_factory=dict)
    mentions_files: bool = False

    def tensors(self) -> Iterator[SourceTensor]:
        """Every tensor that was looked at."""
        yield from self.initializers
        yield from self.nodes.values()

    def constants(self) -> Constants:
        """Initializers, then outputs of Constant nodes, each in stored order."""
        found = {tensor.header.name: tensor.constant(tensor.header.name) for tensor in self.initializers}
        for node in self.proto.graph.node:
            if is_constant(node):
                name = node.output[0]
                large = self.nodes.get(name)
                constant = large.constant(name) if large else _small_constant(node)
                if constant is not None:
                    found[name] = constant
        return Constants(found)


def detach(data: bytes) -> Detached:
    """Split a serialized model; the constants refer to ``data`` instead of copying it.

    Raises:
        onnxprune.model.wire.WireError: where the bytes are not a serialized message.
        google.protobuf.message.DecodeError: where they are not one of a model.
    """
    detached = Detached()
    graph_rewriters: dict[int, wire.Rewriter] = {
        NODE: lambda node: _light_node(node, detached.nodes),
        INITIALIZER: lambda tensor: _light_initializer(tensor, detached.initializers),
    }
    light = wire.rewritten(memoryview(data), {GRAPH: lambda graph: wire.rewritten(graph, graph_rewriters)})
    light_bytes = b"".join(light)
    detached.proto = onnx.ModelProto.FromString(light_bytes)
    detached.mentions_files = any(sign in light_bytes for sign in _SIGNS)
    return detached


def is_constant(node: NodeProto) -> bool:
    """Whether a node is ONNX's Constant, its one output in use."""
    return node.op_type == "Constant" and node.domain in ("", "ai.onnx") and len(node.output) == 1


def value_attribute(node: NodeProto) -> AttributeProto | None:
    """The ``value`` attribute of a Constant node."""
    return next((attribute for attribute in node.attribute if attribute.name == "value"), None)


def _is_bulk(tensor: SourceTensor) -> bool:
    return tensor.is_external or len(tensor.message) > BULK_BYTES < tensor.nbytes


def _light_initializer(message: memoryview, seen: list[SourceTensor]) -> list[wire.Piece] | None:
    tensor = SourceTensor(message)
    seen.append(tensor)
    return [tensor.header.SerializeToString()] if _is_bulk(tensor) else None


def _light_node(message: memoryview, seen: dict[str, SourceTensor]) -> list[wire.Piece] | None:
    """The node without the bulk of its tensor, or None where it has none."""
    if len(message) <= BULK_BYTES or not _says_constant(message):
        return None
    shell = NodeProto()
    tensors: list[SourceTensor] = []

    def light_attribute(attribute: memoryview) -> list[wire.Piece]:
        return wire.rewritten(attribute, {VALUE: lambda tensor: _light_initializer(tensor, tensors)})

    pieces = wire.rewritten(message, {ATTRIBUTE: light_attribute})
    shell.ParseFromString(b"".join(pieces))
    plain = is_constant(shell) and [attribute.name for attribute in shell.attribute] == ["value"]
    if not (plain and len(tensors) == 1 and _is_bulk(tensors[0])):
        return None
    seen[shell.output[0]] = tensors[0]
    return pieces


def _says_constant(message: memoryview) -> bool:
    return any(
        f.number == _OP_TYPE and bytes(message[f.payload : f.end]) == b"Constant"
        for f in wire.fields(message)
    )


def _small_constant(node: NodeProto) -> Constant | None:
    """The constant of a node that holds its values itself; None for strings and sparse tensors."""
    name = node.output[0]
    for attribute in node.attribute:
        if attribute.name == "value":
            tensor = SourceTensor(memoryview(attribute.t.SerializeToString()))
            tensor.check_length()
            return tensor.constant(name)
        if attribute.name in _SCALARS:
            value = attribute.f if attribute.name == "value_float" else attribute.i
            return _made(name, _SCALARS[attribute.name], [], [value])
        if attribute.name in _LISTS:
            values = attribute.floats if attribute.name == "value_floats" else attribute.ints
            return _made(name, _LISTS[attribute.name], [len(values)], list(values))
    return None


def _made(name: str, data_type: int, dims: list[int], values: list[float] | list[int]) -> Constant:
    tensor = cast("TensorProto", onnx.helper.make_tensor(name, data_type, dims, values))
    return Constant(name, tuple(dims), data_type, lambda: numpy_helper.to_array(tensor), lambda: tensor)
