"""Random inputs that a model can run on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from onnxprune.coupling.coupling import Coupling
from onnxprune.errors import InputError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted

SIZES = ((2, 64), (2, 224), (1, 224), (1, 64), (2, 256), (1, 16), (1, 1))
"""(batch, other symbolic dims) to try in turn: small ones first, then what image networks were made for."""

MOST_ELEMENTS, MOST_ELEMENTS_SYMBOLIC = 1 << 30, 1 << 40
"""Elements of a value up to which a model is run; symbolic dims are traced at more than they run with."""

_CARRIERS = {"Cast", "Expand", "Flatten", "Identity", "Reshape"}
_CARRIERS |= {"Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
"""Operators that hand integers on as they are."""
_INDEXED = {"Gather": 1, "GatherElements": 1, "ScatterElements": 1}
"""Operators that pick from their first operand, and the position of the indices."""
_CATEGORIES = {"uint8": 256, "int8": 128}
"""Bytes that index nothing are mostly pixels; longer integers are masks and flags, 0 or 1."""


class Undrawable(Exception):
    """An input of a kind that no random value is known for; the message says which."""


@dataclass(frozen=True)
class Input:
    """A graph input that has to be fed.

    Attributes:
        name: of the value.
        dtype: element type as NumPy has it.
        dims: sizes, or names where they are symbolic.
        limit: values of integers are below it.
    """

    name: str
    dtype: np.dtype
    dims: tuple[int | str, ...]
    limit: int

    def draw(self, generator: np.random.Generator, sizes: tuple[int, int]) -> Array:
        """Standard normal floats, or integers from 0 to the limit."""
        shape = [self._size(axis, sizes) for axis in range(len(self.dims))]
        if self.dtype == np.bool_:
            return generator.integers(0, 2, shape).astype(np.bool_)
        if np.issubdtype(self.dtype, np.integer):
            return generator.integers(0, self.limit, shape).astype(self.dtype)
        return generator.standard_normal(shape).astype(self.dtype)

    def _size(self, axis: int, sizes: tuple[int, int]) -> int:
        dim = self.dims[axis]
        if isinstance(dim, int):
            return dim
        return sizes[0] if axis == 0 and len(self.dims) > 1 else sizes[1]


def inputs_of(coupling: Coupling) -> list[Input]:
    """The inputs of a model, with the range that their readers allow.

    Raises:
        Undrawable: for text, sequences, and tensors of unknown rank.
    """
    limits, model = _limits(coupling), coupling.model
    values = (value for value in model.proto.graph.input if value.name not in model.constants)
    return [_input(value, limits.get(value.name)) for value in values]


def check_size(coupling: Coupling) -> None:
    """Refuse a model whose values are larger than is run here, before anything is allocated for them.

    Raises:
        InputError: naming the value and its size.
    """
    for trace in (coupling.traces.first, coupling.traces.second):
        elements, name = trace.largest
        if elements > (MOST_ELEMENTS_SYMBOLIC if trace.freeze.symbolic else MOST_ELEMENTS):
            raise InputError(
                f"The value {quoted(name)} of the model has {elements:,} elements, too many to run it here.",
                hint="With --no-verify it can be pruned all the same.",
            )


def is_symbolic(inputs: list[Input]) -> bool:
    """Whether any size had to be chosen."""
    return any(isinstance(dim, str) for value in inputs for dim in value.dims)


def draw(inputs: list[Input], sizes: tuple[int, int], *, seed: int) -> Mapping[str, Array]:
    """One array for every input; the same seed gives the same values."""
    generator = np.random.default_rng(seed)
    return {value.name: value.draw(generator, sizes) for value in inputs}


def _input(value: ValueInfoProto, limit: int | None) -> Input:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise Undrawable(f"the input {value.name!r} is no tensor of known rank")
    if tensor.elem_type in (TensorProto.STRING, TensorProto.UNDEFINED):
        raise Undrawable(f"the input {value.name!r} takes text")
    wide = tensor.elem_type == TensorProto.BFLOAT16  # see the module ``widen``
    dtype = helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT if wide else tensor.elem_type)
    dims = tuple(dim.dim_value if dim.dim_value > 0 else dim.dim_param for dim in tensor.shape.dim)
    return Input(value.name, dtype, dims, _CATEGORIES.get(dtype.name, 2) if limit is None else limit)


def _limits(coupling: Coupling) -> Mapping[str, int]:
    """For inputs that pick from a table the number of its entries, the least where there are several."""
    shapes = coupling.traces.first.shapes
    origins: dict[str, set[str]] = defaultdict(set)
    for value in coupling.model.proto.graph.input:
        origins[value.name].add(value.name)
    found: dict[str, int] = {}
    for node in coupling.model.proto.graph.node:
        if node.op_type in _CARRIERS:
            for name in node.output:
                origins[name] |= origins.get(node.input[0], set()) if node.input else set()
        position = _INDEXED.get(node.op_type)
        if position is None or node.input[0] not in shapes:
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        rank = len(shapes[node.input[0]])
        if not -rank <= axis < rank:
            continue  # ONNX Runtime refuses it
        fixed = coupling.traces.is_static(node.input[0], axis)
        entries = shapes[node.input[0]][axis] if fixed else 1
        for origin in origins.get(node.input[position], ()):
            found[origin] = min(found.get(origin, entries), entries)
    return found
