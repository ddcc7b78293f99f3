"""The masked source: what a pruned model has to compute, written with onnx alone (no onnxprune).

Every slice that the report cuts is set to the value that takes it out of the computation: zero, the
zero point where the constant is a quantised one, one where it divides. A normalisation, or a
ReduceMean, takes its statistic over the positions that the pruned model still has: such nodes are
rewritten to read a mask, a graph input of the masked source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Cuts = Mapping[str, Mapping[str, Mapping[str, object]]]

MASK = "/mask"
"""Suffix of the graph input that carries the mask of a normalisation."""

STATISTICS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
STATISTICS += ("InstanceNormalization", "GroupNormalization", "ReduceMean")

_CARRIERS = ("Identity", "Cast", "CastLike", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Expand")
_CARRIERS += ("Sqrt", "Abs", "Mul", "Pow", "ReduceSum", "ReduceL2", "ReduceSumSquare")  # the norm of a weight
_DIVISORS = {"Div": 1, "QuantizeLinear": 1, "Reciprocal": 0, "Log": 0}
_QUANTISED = {"DequantizeLinear": ((0, 2),), "QLinearConv": ((3, 5),), "ConvInteger": ((1, 3),)}
_QUANTISED |= {"MatMulInteger": ((0, 2), (1, 3)), "QLinearMatMul": ((0, 2), (3, 5))}


def attribute(node: onnx.NodeProto, name: str, default: object = None) -> object:
    """Value of an attribute, or the default."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Every initializer and Constant-node output of the main graph."""
    found = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute and not node.attribute[0].name.startswith("sparse"):
            found[node.output[0]] = _constant_value(node.attribute[0])
    return found


def _constant_value(a: onnx.AttributeProto) -> np.ndarray:
    if a.name == "value":
        return numpy_helper.to_array(a.t)
    value = helper.get_attribute_value(a)
    dtype = {
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    return np.array(value, dtype.get(a.name, object))


def mask_constants(source: onnx.ModelProto, cuts: Cuts) -> onnx.ModelProto:
    """A copy of the source in which every slice that is cut is neutral."""
    masked = onnx.ModelProto()
    masked.CopyFrom(source)
    values = constants(source)
    divisors, zero_points = _divisors(source), _zero_points(source, values)
    for name, axes in cuts.items():
        assert name in values, f"the cuts name {name!r}, which is no constant of the source"
        value = values[name].copy()
        for axis, cut in axes.items():
            size, kept = cut["size"], np.asarray(cut["kept"], np.int64)
            assert value.shape[int(axis)] == size, f"{name}: axis {axis} of {value.shape} is not {size} long"
            assert kept.size, f"{name}: nothing of axis {axis} is kept"
            assert np.all(np.diff(kept) > 0), f"{name}: kept is not ascending"
            where = [slice(None)] * value.ndim
            where[int(axis)] = np.setdiff1d(np.arange(size), kept)
            neutral = np.broadcast_to(zero_points.get(name, 1 if name in divisors else 0), value.shape)
            value[tuple(where)] = neutral[tuple(where)]
        _store(masked, name, value)
    return masked


def _divisors(model: onnx.ModelProto) -> set[str]:
    """Names of the tensors that something is divided by, directly or through data movement."""
    found = {n.input[_DIVISORS[n.op_type]] for n in model.graph.node if n.op_type in _DIVISORS}
    for node in reversed(model.graph.node):
        if node.op_type in _CARRIERS and node.output[0] in found:
            found.update(name for name in node.input if name)
    return found


def _zero_points(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """For each quantised constant the integers that stand for zero, broadcast to its shape."""
    found: dict[str, np.ndarray] = {}
    for node in model.graph.node:
        for weight, point in _QUANTISED.get(node.op_type, ()):
            if node.input[weight] in values and len(node.input) > point and node.input[point] in values:
                value, zero = values[node.input[weight]], values[node.input[point]]
                axis = int(attribute(node, "axis", 1 if node.op_type == "DequantizeLinear" else 0))
                shape = [1] * value.ndim
                if zero.ndim == 1 and zero.size > 1:
                    shape[axis] = zero.size
                found[node.input[weight]] = np.broadcast_to(zero.reshape(shape), value.shape)
    return found


def _store(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    tensor = numpy_helper.from_array(np.asarray(value, order="C"), name)
    for initializer in model.graph.initializer:
        if initializer.name == name:
            initializer.CopyFrom(tensor)
            return
    node = next(n for n in model.graph.node if n.op_type == "Constant" and n.output[0] == name)
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("value", tensor))


def statistic_axes(node: onnx.NodeProto, rank: int, values: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """The axes of its first input over which a node takes a statistic (after grouping, for GroupNormalization)."""
    if node.op_type in ("InstanceNormalization", "GroupNormalization"):
        return tuple(range(2, rank))
    if node.op_type == "ReduceMean":
        axes = attribute(node, "axes")
        if axes is None and len(node.input) > 1 and node.input[1]:
            axes = values[node.input[1]].tolist()
        axes = range(rank) if axes is None else axes
        return tuple(sorted(int(a) % rank for a in axes))
    return tuple(range(int(attribute(node, "axis", -1)) % rank, rank))


def grouped(node: onnx.NodeProto, x: np.ndarray) -> np.ndarray:
    """The tensor as the statistic sees it: GroupNormalization as (batch, groups, rest)."""
    if node.op_type == "GroupNormalization":
        return x.reshape(x.shape[0], int(attribute(node, "num_groups")), -1)
    return x


def use_masks(masked: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Rewrites statistics in place: each named node (by first output, with the shape of its input) reads a mask.

    The mask is a float32 graph input ``<output>/mask`` of the shape that :func:`grouped` gives.
    """
    values, nodes = constants(masked), []
    opset = next(o.version for o in masked.opset_import if o.domain in ("", "ai.onnx"))
    for node in masked.graph.node:
        if node.output[0] in shapes and node.op_type in STATISTICS:
            writer = _Writer(masked, node.output[0], opset)
            shape = shapes[node.output[0]]
            writer.rewrite(node, shape, statistic_axes(node, len(shape), values))
            nodes.extend(writer.nodes)
        else:
            nodes.append(node)
    del masked.graph.node[:]
    masked.graph.node.extend(nodes)


class _Writer:
    """Writes one normalisation as elementary operators that leave masked positions out."""

    def __init__(self, model: onnx.ModelProto, name: str, opset: int) -> None:
        self.model, self.name, self.opset = model, name, opset
        self.nodes: list[onnx.NodeProto] = []

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: object) -> str:
        output = output or f"{self.name}/{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: np.ndarray) -> str:
        name = f"{self.name}/constant{len(self.model.graph.initializer)}"
        self.model.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def sum(self, x: str, axes: Iterable[int], keepdims: int = 1) -> str:
        if self.opset < 13:
            return self.op("ReduceSum", x, axes=list(axes), keepdims=keepdims)
        return self.op("ReduceSum", x, self.constant(np.array(list(axes), np.int64)), keepdims=keepdims)

    def mean(self, x: str, mask: str, axes: Iterable[int], keepdims: int = 1) -> str:
        axes = list(axes)
        return self.op(
            "Div", self.sum(self.op("Mul", x, mask), axes, keepdims), self.sum(mask, axes, keepdims)
        )

    def rewrite(self, node: onnx.NodeProto, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
        groups = int(attribute(node, "num_groups", 0))
        seen = (shape[0], groups, int(np.prod(shape[1:])) // groups) if groups else shape
        axes = (2,) if groups else axes
        mask = self.name + MASK
        self.model.graph.input.append(helper.make_tensor_value_info(mask, TensorProto.FLOAT, seen))
        x = self.op("Cast", node.input[0], to=TensorProto.FLOAT)
        if groups:
            x = self.op("Reshape", x, self.constant(np.array(seen, np.int64)))
        if node.op_type == "ReduceMean":
            y = self.mean(x, mask, axes, int(attribute(node, "keepdims", 1)))
        else:
            y = self.normalise(node, x, mask, axes)
            if groups:
                y = self.op("Reshape", y, self.constant(np.array(shape, np.int64)))
            y = self.scaled(node, y, shape)
        self.op(
            "CastLike" if self.opset >= 15 else "Identity",
            *([y, node.input[0]] if self.opset >= 15 else [y]),
            output=node.output[0],
        )

    def normalise(self, node: onnx.NodeProto, x: str, mask: str, axes: tuple[int, ...]) -> str:
        epsilon = self.constant(np.float32(attribute(node, "epsilon", 1e-5)).reshape(()))
        centred = x
        if not node.op_type.startswith(("RMS", "Simplified")):
            centred = self.op("Sub", x, self.mean(x, mask, axes))
        variance = self.mean(self.op("Mul", centred, centred), mask, axes)
        return self.op("Div", centred, self.op("Sqrt", self.op("Add", variance, epsilon)))

    def scaled(self, node: onnx.NodeProto, y: str, shape: tuple[int, ...]) -> str:
        """Times the scale plus the bias, each along the axis that the operator means."""
        for position, kind in ((1, "Mul"), (2, "Add")):
            if len(node.input) > position and node.input[position]:
                y = self.op(kind, y, self._parameter(node, position, shape))
        return y

    def _parameter(self, node: onnx.NodeProto, position: int, shape: tuple[int, ...]) -> str:
        value = self.op("Cast", node.input[position], to=TensorProto.FLOAT)
        if node.op_type not in ("InstanceNormalization", "GroupNormalization"):
            return value  # LayerNormalization and its kin broadcast from the right
        tail = [1] * (len(shape) - 2)
        groups = int(attribute(node, "num_groups", 0))
        if groups and self.opset < 21:  # one number a group
            column = self.op("Reshape", value, self.constant(np.array([groups, 1], np.int64)))
            each = self.constant(np.ones((1, shape[1] // groups), np.float32))
            value = self.op("Mul", column, each)
        return self.op("Reshape", value, self.constant(np.array([1, shape[1], *tail], np.int64)))
