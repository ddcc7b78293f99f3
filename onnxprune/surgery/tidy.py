"""The structural edits: nodes put in, and what nobody reads any more taken out.

onnx-graphsurgeon does the rewiring on the light graph. It knows nothing of metadata, doc strings and
some kinds of attribute, so nodes that it keeps are taken from the original protobufs again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from onnx import AttributeProto, GraphProto, ModelProto
from onnx_graphsurgeon.logger import G_LOGGER

from onnxprune.model.constants import Array, Constant, Constants
from onnxprune.model.names import names_of

_PARTS = ("merged", "mask", "kept")
"""What an overlay is made of."""

G_LOGGER.severity = G_LOGGER.CRITICAL  # its warnings concern things that are put back below

Overlay = tuple[int, int, Array, Array]
"""(node index, input position, mask, values): entries that a computed shape operand gets overwritten."""


def tidy(
    proto: ModelProto, constants: Mapping[str, Constant], overlays: Sequence[Overlay], detached: set[str]
) -> tuple[ModelProto, Constants]:
    """Put overlays in and take out what became unread, leaving everything else as it is.

    A constant that is an input of the graph as well stays: inputs are part of the interface.

    Args:
        proto: the light graph; edited in place.
        constants: its constants and those that join it.
        overlays: operands to overwrite in part, by a ``Where`` before their reader.
        detached: values that lost a reader.
    """
    if overlays or detached - set(constants):
        _rewire(proto, overlays)
    keep = _reads(proto.graph) | {value.name for value in proto.graph.input}
    declared = _declared(proto.graph)
    unread = {name for name in constants if name not in keep and (name in detached or name not in declared)}
    for tensor in [t for t in proto.graph.initializer if t.name in unread]:
        proto.graph.initializer.remove(tensor)
    for node in [n for n in proto.graph.node if n.op_type == "Constant" and n.output[0] in unread]:
        proto.graph.node.remove(node)
    return proto, Constants({name: c for name, c in constants.items() if name not in unread})


def _rewire(proto: ModelProto, overlays: Sequence[Overlay]) -> None:
    graph = gs.import_onnx(_without_functions(proto))
    nodes = list(graph.nodes)
    originals = {node.output[0]: node for node in proto.graph.node if node.output}
    by_output = {node.outputs[0].name: node for node in nodes if node.outputs}
    taken = names_of(proto.graph)
    for index, position, mask, values in overlays:
        target = by_output[proto.graph.node[index].output[0]]
        _overlay(graph, target, position, mask, values, taken)
    graph.cleanup(remove_unused_graph_inputs=False).toposort()
    for node in graph.nodes:  # attributes come from the originals, and some cannot be exported: empty lists
        if node.outputs and node.outputs[0].name in originals:
            node.attrs.clear()
    exported = gs.export_onnx(graph, do_type_check=False)
    kept = [originals.get(node.output[0], node) if node.output else node for node in exported.graph.node]
    rewritten = {node.output[0]: node for node in exported.graph.node if node.output}
    result = []
    for node in kept:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.output and node.output[0] in originals:
            del copy.input[:]
            copy.input.extend(rewritten[node.output[0]].input)
        result.append(copy)
    known = {t.name for t in proto.graph.initializer}
    fresh = [
        t for t in exported.graph.initializer if t.name not in known and t.name.endswith((".mask", ".kept"))
    ]
    del proto.graph.node[:]
    proto.graph.node.extend(result)
    proto.graph.initializer.extend(fresh)


def _overlay(
    graph: gs.Graph, target: gs.Node, position: int, mask: Array, values: Array, taken: set[str]
) -> None:
    """Read ``where(mask, values, computed)`` instead of ``computed``; its names are new, and taken then."""
    computed = target.inputs[position]
    name = f"{target.outputs[0].name}.shape"
    while any(f"{name}.{part}" in taken for part in _PARTS):
        name += ".again"
    taken.update(f"{name}.{part}" for part in _PARTS)
    merged = gs.Variable(f"{name}.merged", dtype=values.dtype, shape=values.shape)
    graph.nodes.append(
        gs.Node(
            "Where",
            f"{name}.where",
            inputs=[
                gs.Constant(f"{name}.mask", np.asarray(mask)),
                gs.Constant(f"{name}.kept", np.asarray(values)),
                computed,
            ],
            outputs=[merged],
        )
    )
    target.inputs[position] = merged


def _without_functions(proto: ModelProto) -> ModelProto:
    light = ModelProto()
    light.CopyFrom(proto)
    del light.functions[:]
    return light


def _reads(graph: GraphProto) -> set[str]:
    """Every name that a node, an output or a sub-graph reads."""
    names = {value.name for value in graph.output}
    for node in graph.node:
        names.update(node.input)
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.type == AttributeProto.GRAPH else list(attribute.graphs)
            for sub in inner:
                names |= _reads(sub)
    return names


def _declared(graph: GraphProto) -> set[str]:
    constant_nodes = {n.output[0] for n in graph.node if n.op_type == "Constant" and not n.domain}
    return {t.name for t in graph.initializer} | constant_nodes
