"""Builds a random graph node by node, each operator in the form its opset wants, shapes known throughout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F = np.float32
BATCH = 2


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: (batch, channels, height, width) or (batch, tokens, channels) or (batch, channels)."""

    name: str
    shape: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.shape[-1] if len(self.shape) == 3 else self.shape[1]

    @property
    def space(self) -> tuple[int, ...]:
        return self.shape[2:]


@dataclass
class Builder:
    """The graph under construction.

    Attributes:
        rng: every choice comes from here.
        opset: decides how axes, split sizes and pads are spelled.
        dynamic: the batch size is symbolic.
        merge: equal integer constants, and biases of one length, become one tensor (as exporters do).
    """

    rng: np.random.Generator
    opset: int
    dynamic: bool = False
    merge: bool = False
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    merged: dict[object, str] = field(default_factory=dict)

    # choices
    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, options: Sequence) -> object:
        return options[int(self.rng.integers(len(options)))]

    # constants
    def constant(self, value: object, dtype: object = np.int64) -> str:
        """A constant; integers are merged with equal ones where the graph merges."""
        array = np.asarray(value, dtype)
        key = (array.tobytes(), array.shape, str(array.dtype))
        if self.merge and array.size < 9 and key in self.merged:
            return self.merged[key]
        name = f"c{len(self.initializers) + len(self.nodes)}"
        if self.chance(0.3):
            self.nodes.append(
                helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array, name))
            )
        else:
            self.initializers[name] = array
        self.merged.setdefault(key, name)
        return name

    def weight(self, *shape: int, fan_in: int, gain: float = 1.4) -> str:
        name = f"w{len(self.initializers) + len(self.nodes)}"
        self.initializers[name] = (self.rng.standard_normal(shape) * gain / max(fan_in, 1) ** 0.5).astype(F)
        return name

    def bias(self, size: int, *tail: int, mergeable: bool = False) -> str:
        if self.merge and mergeable and not tail and ("bias", size) in self.merged:
            return self.merged["bias", size]
        name = f"b{len(self.initializers) + len(self.nodes)}"
        self.initializers[name] = (0.3 * self.rng.standard_normal((size, *tail))).astype(F)
        if mergeable and not tail:
            self.merged["bias", size] = name
        return name

    def near_one(self, size: int, *tail: int) -> str:
        name = f"s{len(self.initializers) + len(self.nodes)}"
        self.initializers[name] = (1 + 0.3 * self.rng.uniform(-1, 1, (size, *tail))).astype(F)
        return name

    # nodes
    def op(self, kind: str, *inputs: Value | str, outputs: int = 1, **attributes: object) -> str | list[str]:
        """Appends a node; returns the name of its output, or of all of them."""
        names = [
            f"{kind.lower()}{len(self.nodes)}" + (f"_{i}" if outputs > 1 else "") for i in range(outputs)
        ]
        read = [i.name if isinstance(i, Value) else i for i in inputs]
        node = helper.make_node(kind, read, names, **attributes)
        node.name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(node)
        return names[0] if outputs == 1 else names

    def map(self, kind: str, x: Value, *inputs: Value | str, **attributes: object) -> Value:
        """A node whose output has the shape of x."""
        return Value(self.op(kind, x, *inputs, **attributes), x.shape)

    def input(self, *shape: int) -> Value:
        value = Value(f"input{len(self.inputs)}", (BATCH, *shape))
        self.inputs.append(value)
        return value

    def output(self, x: Value) -> None:
        self.outputs.append(x)

    # operators whose form depends on the opset
    def reduce_mean(self, x: Value, axes: Sequence[int], *, keepdims: int = 1) -> Value:
        positive = [a % len(x.shape) for a in axes]
        shape = tuple(
            1 if a in positive else d for a, d in enumerate(x.shape) if keepdims or a not in positive
        )
        if self.opset < 18:
            return Value(self.op("ReduceMean", x, axes=list(axes), keepdims=keepdims), shape)
        return Value(self.op("ReduceMean", x, self.constant(list(axes)), keepdims=keepdims), shape)

    def squeeze(self, x: Value, axes: Sequence[int]) -> Value:
        shape = tuple(d for a, d in enumerate(x.shape) if a not in axes)
        if self.opset < 13:
            return Value(self.op("Squeeze", x, axes=list(axes)), shape)
        return Value(self.op("Squeeze", x, self.constant(list(axes))), shape)

    def unsqueeze(self, x: Value | str, axes: Sequence[int]) -> str:
        if self.opset < 13:
            return self.op("Unsqueeze", x, axes=list(axes))
        return self.op("Unsqueeze", x, self.constant(list(axes)))

    def split(self, x: Value, sizes: Sequence[int], axis: int = 1) -> list[Value]:
        if self.opset < 13:
            names = self.op("Split", x, outputs=len(sizes), axis=axis, split=list(sizes))
        elif self.opset >= 18 and len(set(sizes)) == 1 and self.chance(0.5):
            names = self.op("Split", x, outputs=len(sizes), axis=axis, num_outputs=len(sizes))
        else:
            names = self.op("Split", x, self.constant(list(sizes)), outputs=len(sizes), axis=axis)
        return [Value(n, self._resized(x, axis, s)) for n, s in zip(names, sizes, strict=True)]

    def slice(self, x: Value, start: int, end: int, axis: int) -> Value:
        last = end if end < x.shape[axis] or self.chance(0.5) else 2**63 - 1
        given = [self.constant([v]) for v in (start, last, axis)]
        return Value(self.op("Slice", x, *given), self._resized(x, axis, end - start))

    def halves(self, x: Value, axis: int = 1) -> list[Value]:
        """The two halves by Split or by Slice."""
        n = x.shape[axis]
        if self.chance(0.5):
            return self.split(x, [n // 2, n - n // 2], axis)
        return [self.slice(x, 0, n // 2, axis), self.slice(x, n // 2, n, axis)]

    def concat(self, *values: Value, axis: int = 1) -> Value:
        total = sum(v.shape[axis] for v in values)
        return Value(self.op("Concat", *values, axis=axis), self._resized(values[0], axis, total))

    def pad_channels(self, x: Value, before: int, after: int) -> Value:
        pads = [0, before, 0, 0, 0, after, 0, 0]
        return Value(self.op("Pad", x, self.constant(pads)), self._resized(x, 1, x.channels + before + after))

    def transpose(self, x: Value, *perm: int) -> Value:
        return Value(self.op("Transpose", x, perm=list(perm)), tuple(x.shape[p] for p in perm))

    def reshape(self, x: Value, *shape: int) -> Value:
        """Reshape to a full shape; the target is spelled in one of the ways of exporters."""
        result = Value(self.op("Reshape", x, self._target(x, shape)), tuple(shape))
        assert np.prod(x.shape) == np.prod(shape), (x, shape)
        return result

    def _target(self, x: Value, shape: Sequence[int]) -> str:
        batch_first = shape[0] == BATCH == x.shape[0]
        if batch_first and self.chance(0.3):  # Shape -> Gather -> Unsqueeze -> Concat
            size = self.op("Gather", self.op("Shape", x), self.constant(0), axis=0)
            rest = list(shape[1:])
            if self.chance(0.5):
                rest[int(self.rng.integers(len(rest)))] = -1
            return self.op("Concat", self.unsqueeze(size, [0]), self.constant(rest), axis=0)
        target = list(shape)
        if batch_first and (self.dynamic or self.chance(0.5)):
            target[0] = 0 if self.chance(0.5) else -1
        elif self.dynamic:
            target[0] = -1
        if -1 not in target and self.chance(0.3):
            target[int(self.rng.integers(1, len(target)))] = -1
        return self.constant(target)

    def _resized(self, x: Value, axis: int, size: int) -> tuple[int, ...]:
        shape = list(x.shape)
        shape[axis] = size
        return tuple(shape)

    def model(self) -> onnx.ModelProto:
        """The finished model: opset and IR stated, names of the inputs' batch axis symbolic where dynamic."""
        stated = [
            [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, self._stated(v)) for v in values]
            for values in (self.inputs, self.outputs)
        ]
        tensors = [numpy_helper.from_array(v, n) for n, v in self.initializers.items()]
        graph = helper.make_graph(self.nodes, "random", stated[0], stated[1], tensors)
        ir = 10 if self.opset > 20 else 8
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir)

    def _stated(self, v: Value) -> list[int | str]:
        return ["N", *v.shape[1:]] if self.dynamic and v.shape[0] == BATCH else list(v.shape)
