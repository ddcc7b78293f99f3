"""Walks an ONNX graph once and writes the graph of torch functions that computes the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, numpy_helper
from torch import fx, nn

from onnxprune.model.constants import Array
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.structure import node_label
from onnxprune.model.trace import TracePair, branch_taken
from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.module import OnnxModule
from onnxprune.torch_graph.naming import legal
from onnxprune.torch_graph.registry import ONNX, REGISTRY
from onnxprune.torch_graph.roles import all_nodes
from onnxprune.torch_graph.run_time import from_ints
from onnxprune.torch_graph.sizes import Size, arithmetic, as_sizes, is_sizes, unwrapped
from onnxprune.torch_graph.storage import Storage

_KEPT = frozenset({"placeholder", "output"})
"""Kinds of nodes that stay although nothing reads them."""


class GraphBuilder:
    """The graph under construction.

    A value of the file is one of three things: an array that is known beforehand, an array of sizes, or a
    node of the graph that makes a tensor. Constants become tensors only where a node reads them as such.

    Args:
        model: the source, without local functions.
        traces: its shapes; what is equal in both is static.
        storage: the parameters and buffers of the module.
    """

    def __init__(self, model: Model, traces: TracePair, storage: Storage) -> None:
        self.model = model
        self.graph = fx.Graph()
        self._traces = traces
        self._storage = storage
        self._values: dict[str, Array | fx.Node] = {}
        self._stored: dict[str, fx.Node] = {}
        self._opsets = {o.domain or "": int(o.version) for o in model.proto.opset_import}
        self._static = _static_values(traces)
        self._inputs: list[fx.Node] = []
        self._fed: set[str] = set()
        self._readers = Counter(name for node in all_nodes(model.proto.graph) for name in node.input)
        self._producers = {name: node for node in model.proto.graph.node for name in node.output}
        self.has_fixed_batch = not traces.first.freeze.symbolic

    def run(self, module: OnnxModule) -> None:
        """Build the graph and hand it to the module."""
        taken: set[str] = {"self"}
        self._readers.update(module.output_names)
        for name in module.input_names:
            argument = legal(name, taken)
            taken.add(argument)
            self._values[name] = node = self.graph.placeholder(argument)
            self._inputs.append(node)
            self._fed.add(name)
        needed = needed_values(self.model.proto.graph, module.output_names)
        self._visit_all(self.model.proto.graph, needed)
        outputs = tuple(self.tensor(name) for name in module.output_names)
        self.graph.output(outputs if len(outputs) > 1 else outputs[0])
        self._drop_dead(module)

    def _drop_dead(self, module: OnnxModule) -> None:
        """Leave out what no output needs, parameters included."""
        self.graph.eliminate_dead_code(lambda node: node.op in _KEPT)
        self._storage.keep({str(n.target) for n in self.graph.nodes if n.op in ("get_attr", "call_module")})
        module.attach(self.graph)

    # what translations ask for

    def opset(self, domain: str) -> int:
        """Version of the operator set of a domain in the model."""
        return self._opsets.get("" if domain in ONNX else domain, self._opsets.get(domain, 1))

    def is_parameter(self, name: str) -> bool:
        """Whether a value is a constant that is trained."""
        return self._storage.is_parameter(name)

    def known(self, name: str) -> Array | None:
        """The values of a constant, or of what could be computed from constants and static shapes."""
        value = self._values.get(name)
        if value is None and name in self.model.constants:
            return self.model.constants[name].values()
        return value if isinstance(value, np.ndarray) and not is_sizes(value) else None

    def sizes(self, name: str) -> Array | None:
        """A value as an array of sizes or of integers, None where it is a tensor."""
        value = self._values.get(name)
        return value if isinstance(value, np.ndarray) and is_sizes(value) else self.known(name)

    def tensor(self, name: str) -> fx.Node:
        """A value as a node that makes a tensor."""
        value = self._values.get(name)
        if isinstance(value, fx.Node):
            return value
        if value is not None and is_sizes(value):
            elements = [unwrapped(element) for element in value.reshape(-1)]
            made = self.graph.call_function(from_ints, (elements, value.shape, self.any_input))
            self._values[name] = made
            return made
        if name not in self._stored:
            path = self._storage.path(name) if value is None else self._storage.buffer(name, value)
            self._stored[name] = self.graph.create_node("get_attr", path)
        return self._stored[name]

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Shape of a value with None for dynamic lengths; None for all where the rank is unknown."""
        known = self._traces.first.shapes.get(name)
        if known is None or len(self._traces.second.shapes.get(name, ())) != len(known):
            return None
        return tuple(n if self._traces.is_static(name, axis) else None for axis, n in enumerate(known))

    def tensor_of(self, name: str, values: Array) -> fx.Node:
        """Values that are not trained as a node that makes a tensor."""
        return self.graph.create_node("get_attr", self._storage.buffer(name, values))

    def producer(self, name: str) -> NodeProto | None:
        """The node that makes a value, None where it is an input or a constant."""
        return self._producers.get(name)

    def is_read_once(self, name: str) -> bool:
        """Whether a value has one reader and is no output."""
        return self._readers[name] == 1

    def element_type(self, name: str) -> int:
        """ONNX element type of a constant or an input of the graph, 0 where it is not declared."""
        if name in self.model.constants:
            return self.model.constants[name].data_type
        declared = (v.type for v in self.model.proto.graph.input if v.name == name)
        return next((int(found.tensor_type.elem_type) for found in declared), 0)

    def is_fed(self, name: str) -> bool:
        """Whether a value depends on an input of the graph."""
        return name in self._fed

    @property
    def any_input(self) -> fx.Node | None:
        """An input of the graph, which tells the device."""
        return self._inputs[0] if self._inputs else None

    def add_module(self, name: str, child: nn.Module) -> str:
        """Make a module a part of the whole; returns its path."""
        return self._storage.add_module(name, child)

    @property
    def storage(self) -> Storage:
        """Parameters and buffers."""
        return self._storage

    # the walk

    def _visit_all(self, graph: GraphProto, needed: Container[str]) -> None:
        for position, node in enumerate(graph.node):
            if any(name in needed for name in node.output):
                self._visit(node, node_label(node, position))

    def _visit(self, node: NodeProto, label: str) -> None:
        if any(name in self._fed for name in node.input):
            self._fed.update(node.output)
        if all(name in self._static for name in node.output if name):
            self._values.update((name, self._static[name]) for name in node.output if name)
        elif node.op_type == "Constant" and node.domain in ONNX:
            self._visit_constant(node, label)
        elif node.op_type == "If" and node.domain in ONNX:
            self._visit_branch(node, label)
        elif not self._compute_sizes(node):
            self._translate(node, label)

    def _visit_constant(self, node: NodeProto, label: str) -> None:
        name = node.output[0]
        if name in self.model.constants or name in self._values:
            return
        call = Call(self, node, label)
        value = call.attribute("value")
        if value is None:
            raise call.unsupported("that holds text or a sparse tensor")
        self._values[name] = value

    def _visit_branch(self, node: NodeProto, label: str) -> None:
        """Take the branch that is taken whatever the data."""
        branch = branch_taken(node, self.known(node.input[0]))
        if branch is None:
            raise Call(self, node, label).unsupported("whose condition depends on the data")
        for tensor in branch.initializer:
            self._values[tensor.name] = numpy_helper.to_array(tensor)
        self._visit_all(branch, needed_values(branch, [value.name for value in branch.output]))
        for outer, inner in zip(node.output, branch.output, strict=True):
            known = self.sizes(inner.name)
            self._values[outer] = self.tensor(inner.name) if known is None else known

    def _compute_sizes(self, node: NodeProto) -> bool:
        """Do arithmetic on sizes without tensors; whether that was possible."""
        if node.domain not in ONNX:
            return False
        attributes = Call(self, node, "").attributes
        if node.op_type == "Shape":
            found = self._shape_of(node.input[0], attributes)
        else:
            operands = [self.sizes(name) for name in node.input if name]
            if not any(operand is not None and is_sizes(operand) for operand in operands):
                return False
            known = [operand for operand in operands if operand is not None]
            found = arithmetic(node.op_type, known, attributes) if len(known) == len(operands) else None
        if found is None:
            return False
        self._values[node.output[0]] = found
        return True

    def _shape_of(self, name: str, attributes: Mapping[str, Any]) -> Array | None:
        shape = self.shape(name)
        if shape is None:
            return None
        x = self.tensor(name)
        elements = [
            n if n is not None else Size(self.graph.call_method("size", (x, axis)))
            for axis, n in enumerate(shape)
        ]
        return as_sizes(elements[attributes.get("start", 0) : attributes.get("end")])

    def _translate(self, node: NodeProto, label: str) -> None:
        emit = REGISTRY.find(node, self.opset(node.domain))
        call = Call(self, node, label)
        if emit is None:
            raise call.unsupported("")
        made = emit(call)
        results = made if isinstance(made, tuple) else (made,)
        for name, result in zip(node.output, results, strict=False):
            if name:
                self._values[name] = result
        missing = [name for name in node.output[len(results) :] if name]
        if missing:
            raise call.unsupported(f"with the output {quoted(missing[0])}")


def needed_values(graph: GraphProto, outputs: Iterable[str]) -> set[str]:
    """The values that some values of a graph are computed from, themselves included."""
    needed = set(outputs)
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            needed.update(node.input)
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    needed.update(name for inner in all_nodes(attribute.g) for name in inner.input)
                    needed.update(value.name for value in attribute.g.output)
    return needed


def _static_values(traces: TracePair) -> Mapping[str, Array]:
    """Values that are the same whatever the sizes of the symbolic dims."""
    first, second = traces.first.values, traces.second.values
    return {name: value for name, value in first.items() if name in second and _same(value, second[name])}


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one, other))
