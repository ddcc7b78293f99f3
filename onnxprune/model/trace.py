"""Shapes of all values, and the integers that shape arithmetic comes to, in one forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxprune.model.constants import Array, Constant
from onnxprune.model.fold import evaluate, infer
from onnxprune.model.freeze import Freeze, freezes
from onnxprune.model.model import Model

Shape = tuple[int, ...]

MAX_INFERENCE_DATA = 4096
"""Longer constants are no shape operands; handing them to inference would only cost time."""

MAX_DIM = 1 << 24
"""A longer dim of a value counts as unknown: what files state is not to decide how much memory is taken."""


@dataclass
class Trace:
    """What is known of the values of a graph when its symbolic dims have fixed sizes.

    Attributes:
        freeze: the sizes that were chosen.
        shapes: shape by value name; unknown ones are absent.
        values: integers (and scalars) that were computed from shapes, by value name; constants of
            the file are not repeated here.
        unknown: number of node outputs without a shape.
        largest: elements and name of the largest value whose shape was found, however long its dims.
    """

    freeze: Freeze
    shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    unknown: int = 0
    largest: tuple[int, str] = (0, "")


class _Tracer:
    """One pass over the graph; types travel as protobufs because inference wants them so."""

    def __init__(self, model: Model, freeze: Freeze) -> None:
        self.model = model
        self.trace = Trace(freeze)
        self.types: dict[str, onnx.TypeProto] = {}
        self.data: dict[str, onnx.TensorProto] = {}
        self.opset_imports = list(model.proto.opset_import)
        self.opsets = {o.domain: o.version for o in self.opset_imports}
        declared = (*model.proto.graph.value_info, *model.proto.graph.output)
        self.declared = {value.name: value.type for value in declared}

    def run(self) -> Trace:
        graph = self.model.proto.graph
        for constant in self.model.constants.values():
            self._learn_constant(constant)
        for value in graph.input:
            shape = self.trace.freeze.inputs.get(value.name)
            if shape is not None:
                self._learn(
                    value.name, helper.make_tensor_type_proto(value.type.tensor_type.elem_type, shape)
                )
        for node in graph.node:
            self._visit(node)
        return self.trace

    def recompute(self, known: Mapping[str, Array]) -> None:
        """Only what was computed before, from the shapes that are there."""
        for node in self.model.proto.graph.node:
            if node.output and all(name in known for name in node.output if name):
                values = self._folded(node) or []
                self.trace.values.update((n, v) for n, v in zip(node.output, values, strict=False) if n)

    def _visit(self, node: onnx.NodeProto) -> None:
        if node.op_type == "Constant" and not node.domain:
            return
        if node.op_type == "If" and not node.domain:
            self._visit_branch(node)
            return
        known = self._folded(node)
        if known is not None:
            for name, value in zip(node.output, known, strict=False):
                self._learn_value(name, value)
            return
        inputs = [name for name in node.input if name]
        found = infer(
            node,
            {name: self.types[name] for name in inputs if name in self.types},
            {name: self.data[name] for name in inputs if name in self.data},
            self.opset_imports,
            self.model.proto.ir_version,
        )
        for name in node.output:
            inferred = name in found and self._learn(name, found[name])
            if name and not inferred and not self._learn_declared(name):
                self.trace.unknown += 1

    def _visit_branch(self, node: onnx.NodeProto) -> None:
        """Trace the branch that an If takes whatever the data, as exporters guard a squeeze."""
        taken = branch_taken(node, self._operand(node.input[0]))
        if taken is not None:
            for tensor in taken.initializer:
                self._learn_value(tensor.name, numpy_helper.to_array(tensor))
            for inner in taken.node:
                if inner.op_type == "Constant" and inner.attribute[0].name == "value":
                    self._learn_value(inner.output[0], numpy_helper.to_array(inner.attribute[0].t))
                else:
                    self._visit(inner)
        inner_names = [value.name for value in taken.output] if taken is not None else [""] * len(node.output)
        for name, inner_name in zip(node.output, inner_names, strict=True):
            if inner_name in self.trace.values:
                self._learn_value(name, self.trace.values[inner_name])
            elif inner_name in self.types and self._learn(name, self.types[inner_name]):
                continue
            elif not self._learn_declared(name):
                self.trace.unknown += 1

    def _folded(self, node: onnx.NodeProto) -> list[Array] | None:
        if node.op_type == "Shape" and not node.domain:
            shape = self.trace.shapes.get(node.input[0])
            if shape is None:
                return None
            ends = {a.name: a.i for a in node.attribute}
            return [np.array(shape[ends.get("start", 0) : ends.get("end")], dtype=np.int64)]
        if node.op_type == "Size" and not node.domain and node.input[0] in self.trace.shapes:
            return [np.array(int(np.prod(self.trace.shapes[node.input[0]])), dtype=np.int64)]
        if not node.input or node.op_type == "Constant":
            return None
        operands = [self._operand(name) if name else None for name in node.input]
        if any(name and operand is None for name, operand in zip(node.input, operands, strict=True)):
            return None
        if not any(name in self.trace.values or self._is_integer(name) for name in node.input if name):
            return None
        return evaluate(node, operands, self.opsets)

    def _operand(self, name: str) -> Array | None:
        """A value that folding may use: computed ones, integers of the file, single floats."""
        if name in self.trace.values:
            return self.trace.values[name]
        constant = self.model.constants.get(name)
        if constant is None or constant.size > 1_000_000:
            return None
        if self._is_integer(name) or (constant.is_float and constant.size == 1):
            return constant.values()
        return None

    def _is_integer(self, name: str) -> bool:
        constant = self.model.constants.get(name)
        return constant is not None and constant.data_type in (
            TensorProto.INT64,
            TensorProto.INT32,
            TensorProto.BOOL,
        )

    def _learn_constant(self, constant: Constant) -> None:
        self.types[constant.name] = helper.make_tensor_type_proto(constant.data_type, constant.shape)
        self.trace.shapes[constant.name] = constant.shape
        if constant.size <= MAX_INFERENCE_DATA and len(constant.shape) < 2 and constant.can_be_cut:
            self.data[constant.name] = numpy_helper.from_array(np.asarray(constant.values()), constant.name)

    def _learn_value(self, name: str, value: Array) -> None:
        self.trace.values[name] = value
        self.trace.shapes[name] = value.shape
        self.types[name] = helper.make_tensor_type_proto(
            helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        if value.size <= MAX_INFERENCE_DATA:
            self.data[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)

    def _learn_declared(self, name: str) -> bool:
        """What the file says of a value that inference knows nothing of."""
        declared = self.declared.get(name)
        if declared is None or not declared.tensor_type.HasField("shape"):
            return False
        dims = [
            dim.dim_value or self.trace.freeze.symbols.get(dim.dim_param, 0)
            for dim in declared.tensor_type.shape.dim
        ]
        if not all(n > 0 for n in dims):
            return False
        return self._learn(name, helper.make_tensor_type_proto(declared.tensor_type.elem_type, dims))

    def _learn(self, name: str, found: onnx.TypeProto) -> bool:
        self.types[name] = found
        tensor = found.tensor_type
        if not found.HasField("tensor_type") or not tensor.HasField("shape"):
            return False
        if not all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            return False
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        self.trace.largest = max(self.trace.largest, (prod(shape), name))
        if any(n < 0 or n > MAX_DIM for n in shape):
            return False
        self.trace.shapes[name] = shape
        return True


def branch_taken(node: onnx.NodeProto, condition: Array | None) -> onnx.GraphProto | None:
    """The branch of an If whose condition is known, None where it is not."""
    if condition is None or condition.size != 1:
        return None
    wanted = "then_branch" if bool(condition.reshape(-1)[0]) else "else_branch"
    return next((attribute.g for attribute in node.attribute if attribute.name == wanted), None)


def trace(model: Model, freeze: Freeze) -> Trace:
    """Trace the model with one choice of sizes."""
    return _Tracer(model, freeze).run()


def computed_from(model: Model, traced: Trace, shapes: Mapping[str, Shape]) -> Mapping[str, Array]:
    """What the values that were computed from shapes come to with other shapes.

    Args:
        model: the model that was traced.
        traced: its trace.
        shapes: of all values that a size is asked of.

    Returns:
        Value by name; those that can no longer be computed are absent.
    """
    tracer = _Tracer(model, traced.freeze)
    tracer.trace.shapes.update(shapes)
    tracer.recompute(traced.values)
    return tracer.trace.values


@dataclass(frozen=True)
class TracePair:
    """A model traced with two choices of sizes: what differs between them is dynamic."""

    first: Trace
    second: Trace

    def is_static(self, name: str, axis: int) -> bool:
        """Whether a dim of a value is the same whatever the symbolic dims are."""
        return self.first.shapes[name][axis] == self.second.shapes.get(name, self.first.shapes[name])[axis]


def trace_pair(model: Model) -> TracePair:
    """The traces with the fewest unknown values among the choices that are worth trying."""
    best: TracePair | None = None
    for pair in _attempts(model):
        if (
            best is None
            or pair.first.unknown + pair.second.unknown < best.first.unknown + best.second.unknown
        ):
            best = pair
        if best.first.unknown == 0:
            break
    assert best is not None  # freezes() yields at least one choice
    return best


def _attempts(model: Model) -> Iterator[TracePair]:
    for first, second in freezes(model):
        once = trace(model, first)
        yield TracePair(once, trace(model, second) if first.symbolic else once)
