"""Names and an order that are the same in every run, for exporters that make them up as they go.

tf2onnx numbers what it creates, and works through sets: two conversions of one file give the same nodes
but call the constants otherwise and store them in another order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import onnx
from onnx import GraphProto, ModelProto, NodeProto

from onnxprune.frontends.tidy import graphs, rename_values

_NUMBERED = re.compile(r"(?P<stem>.*)__(?P<number>\d+)(?P<port>:\d+)?")


def canonicalise(model: ModelProto, name: str) -> None:
    """Give made-up names a meaning or a number of their own, and sort constants by their first use.

    1. A constant with a made-up name gets that of the node that reads it first and of its place there.
    2. What else is numbered is numbered anew, in graph order.

    Args:
        model: changed in place.
        name: for the graph.
    """
    model.graph.name, model.graph.doc_string = name, ""
    model.producer_version = model.producer_version.partition(" ")[0]  # the commit behind it is often None
    model.graph.initializer.sort(key=_first_uses(model.graph))
    rename_values(model, _constant_names(model.graph))
    numbers: dict[str, int] = {}
    for graph in graphs(model.graph):
        for node in graph.node:
            node.name = _renumbered(node.name, numbers)
    names = dict.fromkeys(value for node in _nodes(model.graph) for value in (*node.input, *node.output))
    names |= dict.fromkeys(tensor.name for graph in graphs(model.graph) for tensor in graph.initializer)
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    rename_values(model, {old: _renumbered(old, numbers) for old in names if old and old not in fixed})


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for inner in graphs(graph):
        yield from inner.node


def _first_uses(graph: GraphProto) -> Callable[[onnx.TensorProto], int]:
    order: dict[str, int] = {}
    for node in _nodes(graph):
        for name in node.input:
            order.setdefault(name, len(order))
    return lambda tensor: order.get(tensor.name, len(order))


def _constant_names(graph: GraphProto) -> dict[str, str]:
    """New names for constants whose own are made up."""
    made_up = {tensor.name for tensor in graph.initializer if _NUMBERED.fullmatch(tensor.name)}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in made_up and name not in found:
                found[name] = _free(f"{_plain(node.name)}/{_place(node, position)}", taken)
    return found


def _place(node: NodeProto, position: int) -> str:
    """What ONNX calls an input of an operator: ``W`` of a Conv, ``B`` of a MatMul."""
    formal = onnx.defs.get_schema(node.op_type).inputs if onnx.defs.has(node.op_type, node.domain) else ()
    return str(formal[min(position, len(formal) - 1)].name) if formal else str(position)


def _plain(name: str) -> str:
    found = _NUMBERED.fullmatch(name)
    return found["stem"] if found else name


def _free(name: str, taken: set[str]) -> str:
    spelling, n = name, 2
    while spelling in taken:
        spelling, n = f"{name}_{n}", n + 1
    taken.add(spelling)
    return spelling


def _renumbered(name: str, numbers: dict[str, int]) -> str:
    found = _NUMBERED.fullmatch(name)
    if not found:
        return name
    number = numbers.setdefault(found["number"], len(numbers) + 1)
    return f"{found['stem']}__{number}{found['port'] or ''}"
