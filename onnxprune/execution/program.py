"""A model in the form in which it is run here: its weights are fed, not stored in the graph.

Nothing large is serialised or copied that way. A weight stays where it is, in memory or mapped from a
file; no session makes a packed copy of it; and a mask may apply to it inside the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from onnxprune.model.assemble import fill, fill_node
from onnxprune.model.constants import Array, Constant
from onnxprune.model.detach import is_constant
from onnxprune.model.model import BULK_BYTES, Model
from onnxprune.model.names import fresh_name, names_of

_FED_NAMES = """FLOAT FLOAT16 BFLOAT16 DOUBLE BOOL
INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64"""
FED = frozenset(getattr(TensorProto, name) for name in _FED_NAMES.split())
"""Element types that can be fed; tensors of others stay in the graph."""


@dataclass
class Program:
    """A graph in the making. Node indices are those of the model until ``finish`` is called.

    Attributes:
        proto: the graph; weights are inputs of it.
        weights: the weight that each such input takes.
        before: nodes to put before the node of an index.
        instead: nodes that take the place of the node of an index.
    """

    proto: ModelProto
    weights: dict[str, Constant] = field(default_factory=dict)
    before: dict[int, list[NodeProto]] = field(default_factory=dict)
    instead: dict[int, list[NodeProto]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.proto.graph
        self._names = names_of(graph)
        self._inputs = {value.name: value for value in graph.input}

    def fresh(self, wanted: str) -> str:
        """A name that no value has."""
        name = fresh_name(wanted, self._names)
        self._names.add(name)
        return name

    def hold(self, wanted: str, values: Array) -> str:
        """Store a small constant in the graph; returns its name."""
        name = self.fresh(wanted)
        self.proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def feed(self, name: str, constant: Constant) -> None:
        """Make a constant an input of the graph, under the given name."""
        self.weights[name] = constant
        if name not in self._inputs:
            value = helper.make_tensor_value_info(name, constant.data_type, constant.shape)
            self._inputs[name] = self.proto.graph.input.add()
            self._inputs[name].CopyFrom(value)

    def renamed(self, name: str, wanted: str) -> str:
        """Let a weight come in under another name, so that a node can make the old one; returns it."""
        new = self.fresh(wanted)
        self.weights[new] = self.weights.pop(name)
        self._inputs[new] = self._inputs.pop(name)
        self._inputs[new].name = new
        return new

    def node(self, op: str, inputs: list[str], output: str, **attributes: int) -> NodeProto:
        """A node of the standard operators with one output."""
        return helper.make_node(op, inputs, [output], **attributes)

    def finish(self) -> Program:
        """Put the added nodes in their places; indices are void from here on."""
        graph = self.proto.graph
        nodes = []
        for index, own in enumerate(graph.node):
            nodes += self.before.get(index, [])
            nodes += self.instead.get(index, [own])
        light = GraphProto(node=nodes)
        graph.ClearField("node")
        graph.node.MergeFrom(light.node)
        self.before, self.instead = {}, {}
        return self


def program_of(model: Model) -> Program:
    """The model as it is, large constants turned into inputs."""
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    program = Program(proto)
    graph = proto.graph
    stored = []
    for tensor in graph.initializer:
        constant = model.constants.get(tensor.name)
        if constant is not None and is_fed(constant):
            program.feed(tensor.name, constant)
            continue
        if constant is not None:
            fill(tensor, constant)
        stored.append(tensor)
    rest = GraphProto(initializer=stored)
    graph.ClearField("initializer")
    graph.initializer.MergeFrom(rest.initializer)
    for index, node in enumerate(graph.node):
        constant = model.constants.get(node.output[0]) if is_constant(node) else None
        if constant is not None and is_fed(constant):
            program.feed(constant.name, constant)
            program.instead[index] = []
        elif constant is not None:
            fill_node(node, constant, fill)
    return program


def is_fed(constant: Constant) -> bool:
    """Whether a constant is fed; small ones are stored, because shape operands must be known."""
    return constant.data_type in FED and constant.size * constant.itemsize > BULK_BYTES


def first_readers(graph: GraphProto) -> Mapping[str, int]:
    """Index of the first node that reads a value, in a sub-graph of its own too."""
    found: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in reads(node):
            found.setdefault(name, index)
    return found


def sub_graphs(node: NodeProto) -> Iterator[GraphProto]:
    """The graphs that a control-flow node holds."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def reads(node: NodeProto) -> Iterator[str]:
    """Names that a node reads, those inside its sub-graphs too."""
    yield from node.input
    for graph in sub_graphs(node):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from reads(inner)
