"""Folds factors and summands a channel into the layer before them: batch normalisation as exporters spell it.

tf2onnx leaves ``Conv, Mul, Add``, Keras on torch ``Conv, Transpose, Add, Sub, Mul, Add``. The numbers of such
a chain go into the weights and the bias of the layer, in double precision; what the network computes stays
the same but for rounding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxprune.frontends.tidy import graphs

Vector = npt.NDArray[np.float64]

_DOUBLES = (TensorProto.FLOAT, TensorProto.DOUBLE)
"""Element types that are folded; in fewer bits the product would be rounded twice."""

_OPERATORS = frozenset({"Add", "Sub", "Mul", "Div"})

_CHANNELS = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1}
"""Where the output channels are in the weight of a layer."""


@dataclass(frozen=True)
class Affine:
    """``scale * x + shift`` of each channel."""

    scale: Vector
    shift: Vector

    def then(self, operator: str, operand: Vector, *, first: bool) -> Affine | None:
        """What comes of another operator, None where that is no such function.

        Args:
            operator: of ONNX.
            operand: one number a channel, or a single one.
            first: whether the channel is the first of its two inputs.
        """
        sign = 1.0 if first else -1.0
        if operator == "Add":
            return Affine(self.scale, self.shift + operand)
        if operator == "Sub":
            return Affine(sign * self.scale, sign * (self.shift - operand))
        if operator == "Mul":
            return Affine(self.scale * operand, self.shift * operand)
        if operator == "Div" and first and operand.all():
            return Affine(self.scale / operand, self.shift / operand)
        return None


@dataclass
class _Chain:
    """A layer and what can be folded into it."""

    layer: NodeProto
    affine: Affine
    folded: list[NodeProto] = field(default_factory=list)


def fold_affine(model: ModelProto) -> None:
    """Fold every chain of factors and summands behind a layer into it.

    Args:
        model: changed in place.
    """
    folding = _Folding(model.graph)
    for node in list(model.graph.node):
        chain = folding.chain_of(node)
        if chain is not None and folding.is_worth_it(chain):
            folding.fold(chain)
    folding.finish()


class _Folding:
    def __init__(self, graph: GraphProto) -> None:
        self.graph = graph
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        inner = [node for nested in graphs(graph) if nested is not graph for node in nested.node]
        self.kept = {value.name for value in graph.output} | {name for node in inner for name in node.input}
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.gone: list[NodeProto] = []

    def chain_of(self, node: NodeProto) -> _Chain | None:
        """The chain behind a layer; None for what is no layer with a weight of its own."""
        axis = self._channel_axis(node)
        if axis is None:
            return None
        weight = self.tensors[node.input[1]]
        channels = weight.dims[_CHANNELS[node.op_type]]
        chain = _Chain(node, Affine(np.ones(channels), np.zeros(channels)))
        value, rank = node.output[0], len(weight.dims)
        while value not in self.kept and len(self.readers.get(value, ())) == 1:
            (reader,) = self.readers[value]
            if reader.op_type in ("Transpose", "Squeeze") and node.op_type != "MatMul":
                place = self._moved(reader, axis, rank)
                if place is None:
                    break
                axis, rank = place
            else:
                affine = self._extended(chain, reader, value, (axis, rank))
                if affine is None or reader.output[0] in self.kept:
                    break
                chain.affine = affine
                chain.folded.append(reader)
            value = reader.output[0]
        return chain

    def is_worth_it(self, chain: _Chain) -> bool:
        """Whether folding leaves less; a single summand behind MatMul is its bias already."""
        return len(chain.folded) > int(chain.layer.op_type == "MatMul")

    def fold(self, chain: _Chain) -> None:
        """Change the weight and the bias of a layer, and take the chain out of the graph."""
        layer, affine = chain.layer, chain.affine
        channel = _CHANNELS[layer.op_type]
        weight = self.tensors[layer.input[1]]
        values = numpy_helper.to_array(weight).astype(np.float64)
        shape = [-1 if k == channel else 1 for k in range(values.ndim)]
        self._set(weight, values * affine.scale.reshape(shape))
        bias: Vector | float = 0.0
        if len(layer.input) > 2 and layer.input[2]:
            bias = numpy_helper.to_array(self.tensors[layer.input[2]]).astype(np.float64)
        name = self._hold(f"{layer.name}/bias", bias * affine.scale + affine.shift, weight)
        if layer.op_type == "MatMul":  # which has no bias of its own: the last of the chain adds it
            last = chain.folded.pop()
            place = next(k for k, value in enumerate(last.input) if value in self.tensors)
            last.op_type, last.input[place] = "Add", name
        else:
            del layer.input[2:]
            layer.input.append(name)
        for node in chain.folded:
            self._bypass(node)

    def finish(self) -> None:
        """Drop what nothing reads any more."""
        for node in self.gone:
            self.graph.node.remove(node)
        used = {name for nested in graphs(self.graph) for node in nested.node for name in node.input}
        used |= {value.name for value in self.graph.output}
        for tensor in [t for t in self.graph.initializer if t.name not in used]:
            self.graph.initializer.remove(tensor)

    def _channel_axis(self, node: NodeProto) -> int | None:
        """The axis of a layer's channels, from the end; None where it cannot be folded into."""
        if node.op_type not in _CHANNELS or node.domain or len(node.input) < 2:
            return None
        weight = self.tensors.get(node.input[1])
        if weight is None or weight.data_type not in _DOUBLES or self.uses[weight.name] > 1:
            return None
        if node.op_type == "MatMul":
            return -1 if len(weight.dims) == 2 else None
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        has_own_bias = len(node.input) < 3 or not node.input[2] or node.input[2] in self.tensors
        if not has_own_bias or (node.op_type == "ConvTranspose" and groups > 1):
            return None
        return 1 - len(weight.dims)

    def _extended(self, chain: _Chain, node: NodeProto, value: str, place: tuple[int, int]) -> Affine | None:
        """The function of a chain and one more node, None where that is no function of each channel alone."""
        if node.op_type not in _OPERATORS or node.domain or node.input[0] == node.input[1]:
            return None
        first = node.input[0] == value
        tensor = self.tensors.get(node.input[1] if first else node.input[0])
        if tensor is None or tensor.data_type not in _DOUBLES:
            return None
        shape, size = list(tensor.dims), int(np.prod(tensor.dims))
        axis, rank = place
        along = shape[axis] if len(shape) >= -axis else 1
        if len(shape) > rank or along != size or size not in (1, len(chain.affine.scale)):
            return None
        operand = numpy_helper.to_array(tensor).astype(np.float64).reshape(-1)
        return chain.affine.then(node.op_type, operand, first=first)

    def _moved(self, node: NodeProto, axis: int, rank: int) -> tuple[int, int] | None:
        """Where an axis, counted from the end, goes, and the rank there; None where that is not known."""
        attributes = {a.name: list(a.ints) for a in node.attribute}
        if node.op_type == "Transpose":
            permutation = attributes.get("perm") or list(range(rank))[::-1]
            return permutation.index(axis + rank) - rank, rank
        axes = attributes.get("axes")
        if axes is None and len(node.input) > 1 and node.input[1] in self.tensors:
            axes = numpy_helper.to_array(self.tensors[node.input[1]]).tolist()
        gone = {n % rank for n in axes or ()}
        if not gone or axis + rank in gone:
            return None
        return axis + sum(n > axis + rank for n in gone), rank - len(gone)

    def _set(self, tensor: TensorProto, values: Vector) -> None:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values.astype(dtype)), tensor.name))

    def _hold(self, name: str, values: Vector, like: TensorProto) -> str:
        """A new constant."""
        spelling, n = name, 2
        while spelling in self.tensors:
            spelling, n = f"{name}_{n}", n + 1
        dtype = helper.tensor_dtype_to_np_dtype(like.data_type)
        self.graph.initializer.append(numpy_helper.from_array(values.astype(dtype), spelling))
        self.tensors[spelling] = self.graph.initializer[-1]
        return spelling

    def _bypass(self, node: NodeProto) -> None:
        """Let the readers of a node read what it read."""
        value = next(name for name in node.input if name not in self.tensors)
        for reader in self.readers.get(node.output[0], ()):
            for position, name in enumerate(reader.input):
                if name == node.output[0]:
                    reader.input[position] = value
        self.readers[value] = self.readers.get(node.output[0], [])
        self.gone.append(node)
