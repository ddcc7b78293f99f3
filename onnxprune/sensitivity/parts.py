"""Takes a part out of a graph: the nodes between some values and others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from onnx import ModelProto, NodeProto, ValueInfoProto

from onnxprune.execution.program import reads
from onnxprune.model.constants import Constants
from onnxprune.model.detach import is_constant
from onnxprune.model.model import Model


def downstream(model: Model, start: Collection[int]) -> list[int]:
    """Indices, ascending, of the given nodes and of all that depend on them."""
    changed: set[str] = set()
    found = []
    for index, node in enumerate(model.proto.graph.node):
        if index in start or any(name in changed for name in reads(node)):
            found.append(index)
            changed.update(name for name in node.output if name)
    return found


def frontier(model: Model, indices: Sequence[int]) -> list[str]:
    """Values, no constants, that the nodes of these indices read from the rest of the graph."""
    nodes = model.proto.graph.node
    made = {name for index in indices for name in nodes[index].output}
    made |= {node.output[0] for node in nodes if is_constant(node)}
    asked = (name for index in indices for name in reads(nodes[index]))
    outside = {name for node in nodes for name in node.output}
    outside |= {value.name for value in model.proto.graph.input}
    return [name for name in dict.fromkeys(asked) if name in outside - made - set(model.constants)]


def part(
    model: Model,
    *,
    outputs: Iterable[ValueInfoProto],
    inputs: Iterable[ValueInfoProto] = (),
    nodes: Sequence[NodeProto] | None = None,
) -> Model:
    """The model that makes some values, out of the inputs of the source or of others.

    Args:
        model: the source, or where the constants are.
        outputs: what is to be made.
        inputs: values that are given, whatever node makes them in the source.
        nodes: instead of those of the source, in order.
    """
    outputs, inputs = list(outputs), list(inputs)
    given = {value.name for value in inputs}
    needed = {value.name for value in outputs} - given
    chosen: list[NodeProto] = []
    for node in reversed(model.proto.graph.node if nodes is None else nodes):
        if any(name in needed for name in node.output):
            chosen.append(node)
            needed.update(name for name in reads(node) if name not in given)
    proto = _shell(model.proto)
    graph, source = proto.graph, model.proto.graph
    graph.node.extend(reversed(chosen))
    graph.input.extend(value for value in source.input if value.name in needed)
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    graph.initializer.extend(tensor for tensor in source.initializer if tensor.name in needed)
    kept = {name: constant for name, constant in model.constants.items() if name in needed}
    return replace(model, proto=proto, constants=Constants(kept))


def _shell(source: ModelProto) -> ModelProto:
    """The model without its graph."""
    proto = ModelProto(ir_version=source.ir_version, functions=source.functions)
    proto.opset_import.extend(source.opset_import)
    proto.graph.name = source.graph.name
    proto.graph.sparse_initializer.extend(source.graph.sparse_initializer)
    return proto
