"""Constant tensors held apart from the graph: lazily read, never copied without need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from onnx import TensorProto, helper

Array = np.ndarray
"""Any NumPy array; element types are checked at run time, where ONNX states them."""

PACKED = frozenset(
    getattr(TensorProto, name)
    for name in ("INT4", "UINT4", "FLOAT4E2M1", "INT2", "UINT2")
    if hasattr(TensorProto, name)
)
"""Element types of less than a byte: carried through untouched, never sliced."""


@dataclass(frozen=True)
class Constant:
    """A constant tensor of the graph: an initializer or the output of a Constant node.

    Attributes:
        name: the tensor's name in the file.
        shape: its dims.
        data_type: ``onnx.TensorProto`` element type.
        read: returns the values, shape ``shape``; the array must not be written to.
        original: returns the tensor as the source file spells it, or None once it was changed.
    """

    name: str
    shape: tuple[int, ...]
    data_type: int
    read: Callable[[], Array]
    original: Callable[[], TensorProto] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def itemsize(self) -> float:
        """Bytes of one element, a fraction for packed types."""
        if self.data_type in PACKED:
            return 0.25 if "2" in TensorProto.DataType.Name(self.data_type)[-1:] else 0.5
        if self.data_type == TensorProto.STRING:
            return 1.0
        return float(helper.tensor_dtype_to_np_dtype(self.data_type).itemsize)

    @property
    def is_float(self) -> bool:
        """Whether the elements are floating-point numbers."""
        return self.data_type in (
            TensorProto.FLOAT,
            TensorProto.FLOAT16,
            TensorProto.BFLOAT16,
            TensorProto.DOUBLE,
        )

    @property
    def can_be_cut(self) -> bool:
        """Whether single slices can be taken out of the stored bytes."""
        return self.data_type not in PACKED and self.data_type != TensorProto.STRING

    def values(self) -> Array:
        """The elements, shape ``shape``; treat as read-only."""
        return self.read()

    def replaced(self, values: Array) -> Constant:
        """This constant with other values (and their shape), same name and element type."""
        return Constant(self.name, tuple(values.shape), self.data_type, lambda: values)


class Constants(Mapping[str, Constant]):
    """All constants of one graph by name, in file order."""

    def __init__(self, constants: Mapping[str, Constant]) -> None:
        self._by_name = dict(constants)

    def __getitem__(self, name: str) -> Constant:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def with_changes(self, changed: Mapping[str, Constant]) -> Constants:
        """A copy in which the given constants replace, or join, those of the same name."""
        return Constants({**self._by_name, **changed})
