"""Damage to how the parts of a model hang together: names, order, sub-graphs, functions."""

from __future__ import annotations

import numpy as np
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from fuzzing.edits import NAMES, Edit, any_of

DEEPEST = 80
"""Protobuf itself reads messages up to 100 levels; a sub-graph takes three of them."""


def _node(rng: np.random.Generator, model: ModelProto) -> NodeProto:
    return any_of(rng, model.graph.node)


def _names(model: ModelProto) -> list[str]:
    graph = model.graph
    named = [*graph.input, *graph.initializer, *graph.output]
    return [value.name for value in named] + [name for node in graph.node for name in node.output if name]


def read_another(rng: np.random.Generator, model: ModelProto) -> None:
    """A node reads another value: one that exists, or comes later, or is its own."""
    node = _node(rng, model)
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = any_of(rng, _names(model))


def read_nothing(rng: np.random.Generator, model: ModelProto) -> None:
    node = _node(rng, model)
    choice = int(rng.integers(4))
    if choice == 0 or not node.input:
        node.input.append(any_of(rng, ("ghost", *NAMES)))
    elif choice == 1:
        node.input[int(rng.integers(len(node.input)))] = any_of(rng, ("ghost", *NAMES))
    elif choice == 2:
        del node.input[int(rng.integers(len(node.input)))]
    else:
        del node.input[:]


def outputs(rng: np.random.Generator, model: ModelProto) -> None:
    node = _node(rng, model)
    choice = int(rng.integers(4))
    if choice == 0:
        node.output.append(any_of(rng, (*NAMES, *_names(model))))
    elif choice == 1 and node.output:
        node.output[int(rng.integers(len(node.output)))] = any_of(rng, (*NAMES, *_names(model)))
    elif choice == 2:
        del node.output[:]
    else:
        node.output.append("")


def nodes(rng: np.random.Generator, model: ModelProto) -> None:
    """A node goes, comes twice, or changes places; or all are in any order."""
    held = model.graph.node
    place, choice = int(rng.integers(len(held))), int(rng.integers(4))
    if choice == 0:
        del held[place]
    elif choice == 1:
        held.append(held[place])
    elif choice == 2:
        held.insert(int(rng.integers(len(held) + 1)), held.pop(place))
    else:
        kept = list(held)
        rng.shuffle(kept)
        del held[:]
        held.extend(kept)


def cycle(rng: np.random.Generator, model: ModelProto) -> None:
    node, later = _node(rng, model), _node(rng, model)
    if node.input and later.output:
        node.input[0] = later.output[0]


def rename(rng: np.random.Generator, model: ModelProto) -> None:
    """A value gets another name wherever it stands, which may be one that is taken."""
    names = [name for name in _names(model) if name]
    old, new = any_of(rng, names), any_of(rng, (*NAMES[1:], any_of(rng, names)))
    graph = model.graph
    for node in graph.node:
        for listed in (node.input, node.output):
            listed[:] = [new if name == old else name for name in listed]
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        if value.name == old:
            value.name = new


def label(rng: np.random.Generator, model: ModelProto) -> None:
    """Names that nothing hangs on."""
    target = any_of(rng, (*model.graph.node, model.graph))
    target.name = any_of(rng, (*NAMES, _node(rng, model).name))
    if rng.random() < 0.3:
        model.producer_name = any_of(rng, NAMES)


def lists(rng: np.random.Generator, model: ModelProto) -> None:
    """An input, an output or a weight is missing, is there twice, or is one of the others."""
    graph = model.graph
    held = any_of(rng, (graph.input, graph.output, graph.initializer))
    choice = int(rng.integers(3))
    if not held:
        return
    place = int(rng.integers(len(held)))
    if choice == 0:
        del held[place]
    elif choice == 1:
        held.append(held[place])
    else:
        held[place].name = any_of(rng, _names(model))


def value_info(rng: np.random.Generator, model: ModelProto) -> None:
    """What the file says of inner values is a lie."""
    shape = [int(n) for n in rng.integers(0, 9, size=int(rng.integers(0, 6)))]
    found = helper.make_tensor_value_info(any_of(rng, _names(model)), int(rng.integers(0, 20)), shape)
    model.graph.value_info.append(found)


def wrapped(rng: np.random.Generator, model: ModelProto) -> None:
    """The last node goes into the branches of an If, which may go on for many levels."""
    node, flag = model.graph.node[-1], "fuzz.flag"
    if len(node.output) != 1:
        return
    body = GraphProto(name="branch", node=[node])
    body.output.add(name=node.output[0])
    for level in range(int(rng.choice([1, 2, 5, DEEPEST // 3]))):
        both = {"then_branch": body, "else_branch": body} if level < 3 else {"then_branch": body}
        try:
            outer = helper.make_node("If", [flag], [f"fuzz.{level}"], **both)
        except DecodeError:  # the node holds graphs of its own, and protobuf reads no deeper
            return
        body = GraphProto(name="branch", node=[outer])
        body.output.add(name=f"fuzz.{level}")
    last = body.node[0]
    last.output[0] = node.output[0]
    model.graph.node[-1].CopyFrom(last)
    model.graph.initializer.append(helper.make_tensor(flag, TensorProto.BOOL, [], [rng.random() < 0.5]))


def functions(rng: np.random.Generator, model: ModelProto) -> None:
    """A node becomes a call of a local function: a plain one, one that calls itself, or many that double."""
    node = _node(rng, model)
    if len(node.output) != 1 or not node.input:
        return
    domain, kind = "fuzz", int(rng.integers(4))
    ids = [helper.make_opsetid("", 17), helper.make_opsetid(domain, 1)]
    last = {0: "Relu", 1: "F0", 2: "F1", 3: "Relu"}[kind]
    depth = int(rng.choice([2, 20, 40])) if kind == 3 else 2
    for level in range(depth):
        inner = f"F{level + 1}" if level < depth - 1 else last
        own = "" if inner == "Relu" else domain
        calls = [
            helper.make_node(inner, ["a"], ["b"], domain=own),
            helper.make_node(inner, ["b"], ["c"], domain=own),
        ]
        model.functions.append(helper.make_function(domain, f"F{level}", ["a"], ["c"], calls, ids))
    if not any(entry.domain == domain for entry in model.opset_import):
        model.opset_import.add(domain=domain, version=1)
    del node.input[1:]
    del node.attribute[:]
    node.op_type, node.domain = "F0", domain


REWIRINGS: tuple[Edit, ...] = (
    read_another,
    read_nothing,
    outputs,
    nodes,
    cycle,
    rename,
    label,
    lists,
    value_info,
    wrapped,
    functions,
)
