"""The bytes of a model, piece by piece, so that weights go from source to output without a copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from onnx import GraphProto, NodeProto, TensorProto

from onnxprune.model import wire
from onnxprune.model.assemble import check_places, fill, fill_node, hollow, payload
from onnxprune.model.constants import Constant
from onnxprune.model.detach import ATTRIBUTE, GRAPH, INITIALIZER, NODE, VALUE, is_constant
from onnxprune.model.model import Model
from onnxprune.model.tensors import RAW_DATA, SourceTensor

TensorWriter = Callable[[TensorProto, Constant], list[wire.Piece]]
"""Gives the serialized tensor for a tensor of the graph and its constant."""


def pieces(model: Model, write: TensorWriter) -> list[wire.Piece]:
    """The serialized model as a list of buffers; equal models give equal bytes.

    Args:
        model: graph and constants.
        write: how a tensor is written, such as ``inline``.

    Raises:
        OutputError: where graph and constants do not match.
    """
    check_places(model)
    graph = model.proto.graph
    rewriters: dict[int, wire.Rewriter] = {
        NODE: _in_order(_node_payloads(graph, model, write)),
        INITIALIZER: _in_order(_initializer_payloads(graph, model, write)),
    }
    light = memoryview(model.proto.SerializeToString(deterministic=True))
    return wire.rewritten(light, {GRAPH: lambda message: wire.rewritten(message, rewriters)})


def inline(tensor: TensorProto, constant: Constant) -> list[wire.Piece]:
    """The tensor with its values in it: as the source spells them, or as raw data if they changed."""
    source = _untouched(constant)
    if source is not None and source.message and source.header.name == tensor.name:
        return [source.message]
    shell = TensorProto()
    shell.CopyFrom(tensor)
    if constant.original is not None:
        fill(shell, constant)
        return [shell.SerializeToString(deterministic=True)]
    hollow(shell, constant)
    return with_raw_data(shell, payload(constant).data)


def with_raw_data(shell: TensorProto, raw: memoryview) -> list[wire.Piece]:
    """A serialized tensor that holds the given raw data, which are not copied."""
    shell.raw_data = b""
    message = memoryview(shell.SerializeToString(deterministic=True))
    return wire.rewritten(message, {RAW_DATA: lambda _: [raw]})


def raw_size(constant: Constant) -> int | None:
    """Bytes of the constant as raw data; None where it cannot be stored that way."""
    source = _untouched(constant)
    if source is not None and source.raw is not None:
        return len(source.raw)
    return int(constant.size * constant.itemsize) if constant.can_be_cut else None


def raw_bytes(constant: Constant) -> memoryview:
    """The constant as raw data, shape (bytes,); straight from the source where it has them so."""
    source = _untouched(constant)
    if source is not None and source.raw is not None:
        return source.raw
    return payload(constant).data


def _untouched(constant: Constant) -> SourceTensor | None:
    return constant.original if isinstance(constant.original, SourceTensor) else None


def _in_order(payloads: Iterator[list[wire.Piece] | None]) -> wire.Rewriter:
    return lambda _: next(payloads)


def _initializer_payloads(
    graph: GraphProto, model: Model, write: TensorWriter
) -> Iterator[list[wire.Piece] | None]:
    for tensor in graph.initializer:
        constant = model.constants.get(tensor.name)
        yield None if constant is None else write(tensor, constant)


def _node_payloads(graph: GraphProto, model: Model, write: TensorWriter) -> Iterator[list[wire.Piece] | None]:
    for node in graph.node:
        constant = model.constants.get(node.output[0]) if is_constant(node) else None
        yield None if constant is None else _constant_node(node, constant, write)


def _constant_node(node: NodeProto, constant: Constant, write: TensorWriter) -> list[wire.Piece]:
    """The serialized node: its tensor is described first, then written in place of the description."""
    shell = NodeProto()
    shell.CopyFrom(node)
    fill_node(shell, constant, hollow)
    tensors = iter([attribute.t for attribute in shell.attribute if attribute.HasField("t")])

    def attribute_pieces(message: memoryview) -> list[wire.Piece]:
        return wire.rewritten(message, {VALUE: lambda _: write(next(tensors), constant)})

    message = memoryview(shell.SerializeToString(deterministic=True))
    return wire.rewritten(message, {ATTRIBUTE: attribute_pieces})
