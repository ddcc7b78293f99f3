"""Linear operators as matrix products: rows are positions, columns are what one output sees.

A convolution is a product once its input is unfolded: each output position is a row, each weight of a
filter a column. A grouped convolution is one product a group; a transposed one is a plain one over an input
that is spread out by its stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import numpy as np
from onnx import NodeProto, helper

from onnxprune.model.constants import Array

Shape = tuple[int, ...]


class Columns(Protocol):
    """One linear node, seen as ``groups`` matrix products.

    Attributes:
        channels: output channels.
        groups: independent products; channels and columns are split evenly between them.
        inputs: input channels of one group.
        channel_axis: of the output, counted from the end.
        own_bias: whether the operator itself takes a bias.
    """

    channels: int
    groups: int
    inputs: int
    channel_axis: int
    own_bias: ClassVar[bool]

    def __init__(self, node: NodeProto, shape: Shape) -> None: ...

    @staticmethod
    def obstacle(node: NodeProto, shape: Shape) -> str:
        """Why a node with such a weight is no such product; empty where it is."""

    def channel_of(self) -> Array:
        """Input channel within its group of each column, (columns a group,)."""

    def positions(self, values: Array) -> int:
        """Number of rows that a batch of outputs has."""

    def rows(self, values: Array, chosen: Array, like: Shape) -> Array:
        """Unfolded input, (groups, rows, columns a group), at the chosen rows of an output of a shape."""

    def targets(self, values: Array, chosen: Array) -> Array:
        """Outputs at the chosen rows, (groups, rows, channels a group)."""

    def pack(self, weight: Array) -> Array:
        """The weight as matrices, (groups, columns a group, channels a group)."""

    def unpack(self, matrix: Array, shape: Shape) -> Array:
        """The inverse of ``pack``."""


class _Product:
    """``x @ W`` with a constant matrix on the right."""

    own_bias: ClassVar[bool] = False

    def __init__(self, node: NodeProto, shape: Shape) -> None:
        self._transposed = bool(_integer(node, "transB", 0))
        self.channels = shape[0] if self._transposed else shape[1]
        self.inputs = shape[1] if self._transposed else shape[0]
        self.groups, self.channel_axis = 1, -1

    def channel_of(self) -> Array:
        return np.arange(self.inputs)

    @staticmethod
    def obstacle(node: NodeProto, shape: Shape) -> str:
        return "" if len(shape) == 2 else "its weight is a stack of matrices"

    def positions(self, values: Array) -> int:
        return prod(values.shape[:-1])

    def rows(self, values: Array, chosen: Array, like: Shape) -> Array:
        return _as(values.reshape(-1, values.shape[-1])[chosen][None])

    def targets(self, values: Array, chosen: Array) -> Array:
        return _as(values.reshape(-1, values.shape[-1])[chosen][None])

    def pack(self, weight: Array) -> Array:
        return _as((weight.T if self._transposed else weight)[None])

    def unpack(self, matrix: Array, shape: Shape) -> Array:
        return _as(matrix[0].T if self._transposed else matrix[0])


class _Gemm(_Product):
    """``alpha * x @ W + beta * b``, where both factors are 1."""

    own_bias: ClassVar[bool] = True

    @staticmethod
    def obstacle(node: NodeProto, shape: Shape) -> str:
        factors = {a.name: a.f for a in node.attribute if a.name in ("alpha", "beta")}
        if any(value != 1 for value in factors.values()):
            return "it scales its product"
        return "its input is transposed" if _integer(node, "transA", 0) else ""


class _Conv:
    """A convolution of any rank, stride, dilation, padding and number of groups."""

    own_bias: ClassVar[bool] = True

    def __init__(self, node: NodeProto, shape: Shape) -> None:
        self.groups = _integer(node, "group", 1)
        self.channels = self._out(shape)
        self._kernel = shape[2:]
        self._width = prod(self._kernel)
        rank = len(self._kernel)
        self.channel_axis = -1 - rank
        self.inputs = self._in(shape)
        self._strides = _integers(node, "strides", [1] * rank)
        self._dilations = _integers(node, "dilations", [1] * rank)
        self._pads = _integers(node, "pads", [0] * (2 * rank))
        self._auto = next((a.s for a in node.attribute if a.name == "auto_pad"), b"NOTSET")

    def _out(self, shape: Shape) -> int:
        return shape[0]

    def _in(self, shape: Shape) -> int:
        return shape[1]

    def channel_of(self) -> Array:
        return np.tile(np.arange(self.inputs), self._width)

    @staticmethod
    def obstacle(node: NodeProto, shape: Shape) -> str:
        return "" if len(shape) > 2 else "its kernel has no extent"

    def positions(self, values: Array) -> int:
        return int(values.shape[0] * prod(values.shape[2:]))

    def rows(self, values: Array, chosen: Array, like: Shape) -> Array:
        spread = np.moveaxis(self._spread(values, like), 1, -1)  # channels last: rows are copied whole
        sizes, channels = spread.shape[1:-1], spread.shape[-1]
        flat = np.ascontiguousarray(spread).reshape(-1, channels)
        batch, *place = np.unravel_index(chosen, (spread.shape[0], *like[2:]))
        start = np.ravel_multi_index(
            (batch, *(p * s for p, s in zip(place, self._steps(), strict=True))), (spread.shape[0], *sizes)
        )
        found = np.empty((len(chosen), self._width, channels), dtype=flat.dtype)
        for k, offset in enumerate(np.ndindex(*self._kernel)):
            step = [o * d for o, d in zip(offset, self._dilations, strict=True)]
            found[:, k] = flat[start + int(np.ravel_multi_index((0, *step), (1, *sizes)))]
        if self.groups == 1:
            return found.reshape(1, len(chosen), -1)
        split = found.reshape(len(chosen), self._width, self.groups, -1)
        return split.transpose(2, 0, 1, 3).reshape(self.groups, len(chosen), -1)

    def _steps(self) -> list[int]:
        return self._strides

    def _spread(self, values: Array, like: Shape) -> Array:
        """The padded input."""
        before, after = self._padding(values.shape[2:], like[2:])
        return np.pad(values, [(0, 0), (0, 0), *zip(before, after, strict=True)])

    def _padding(self, sizes: Shape, results: Shape) -> tuple[list[int], list[int]]:
        rank = len(sizes)
        reach = [(k - 1) * d + 1 for k, d in zip(self._kernel, self._dilations, strict=True)]
        needs = [
            max(0, (r - 1) * s + e - n)
            for n, r, s, e in zip(sizes, results, self._strides, reach, strict=True)
        ]
        if self._auto == b"SAME_UPPER":
            before = [n // 2 for n in needs]
        elif self._auto == b"SAME_LOWER":
            before = [n - n // 2 for n in needs]
        else:
            before = [0] * rank if self._auto == b"VALID" else self._pads[:rank]
        return before, [max(0, n - b) for n, b in zip(needs, before, strict=True)]

    def targets(self, values: Array, chosen: Array) -> Array:
        place = np.unravel_index(chosen, (values.shape[0], *values.shape[2:]))
        found = np.moveaxis(values, 1, -1)[tuple(place)]
        return found.reshape(len(chosen), self.groups, -1).transpose(1, 0, 2)

    def pack(self, weight: Array) -> Array:
        own = weight.reshape(self.groups, weight.shape[0] // self.groups, weight.shape[1], self._width)
        return own.transpose(0, 3, 2, 1).reshape(self.groups, -1, own.shape[1])

    def unpack(self, matrix: Array, shape: Shape) -> Array:
        own = matrix.reshape(self.groups, self._width, shape[1], shape[0] // self.groups)
        return own.transpose(0, 3, 2, 1).reshape(shape)


class _ConvTranspose(_Conv):
    """A transposed convolution: a plain one, the kernel mirrored, over an input with gaps."""

    def __init__(self, node: NodeProto, shape: Shape) -> None:
        super().__init__(node, shape)
        self._sized = any(a.name == "output_shape" for a in node.attribute)
        self._extra = _integers(node, "output_padding", [0] * len(self._kernel))

    def _out(self, shape: Shape) -> int:
        return shape[1] * self.groups

    def _in(self, shape: Shape) -> int:
        return shape[0] // self.groups

    def _steps(self) -> list[int]:
        return [1] * len(self._kernel)

    def _spread(self, values: Array, like: Shape) -> Array:
        sizes, rank = values.shape[2:], len(self._kernel)
        reach = [(k - 1) * d for k, d in zip(self._kernel, self._dilations, strict=True)]
        full = [(n - 1) * s + 1 + e for n, s, e in zip(sizes, self._strides, reach, strict=True)]
        start = self._starts(full, like[2:], rank)
        length = [e + max(f, r + b) for e, f, r, b in zip(reach, full, like[2:], start, strict=True)]
        spread = np.zeros((*values.shape[:2], *length), dtype=values.dtype)
        grid = tuple(
            slice(e, e + (n - 1) * s + 1, s) for e, n, s in zip(reach, sizes, self._strides, strict=True)
        )
        spread[(slice(None), slice(None), *grid)] = values
        return spread[(slice(None), slice(None), *(slice(b, None) for b in start))]

    def _starts(self, full: list[int], results: Shape, rank: int) -> list[int]:
        """How much of the full result is cut off in front; split evenly where only the sizes are given."""
        if self._auto in (b"SAME_UPPER", b"SAME_LOWER") or self._sized:
            over = [max(0, f + p - r) for f, p, r in zip(full, self._extra, results, strict=True)]
            return [n // 2 if self._auto == b"SAME_UPPER" else n - n // 2 for n in over]
        return [0] * rank if self._auto == b"VALID" else self._pads[:rank]

    def pack(self, weight: Array) -> Array:
        mirrored = np.flip(weight, axis=tuple(range(2, weight.ndim)))
        own = mirrored.reshape(self.groups, weight.shape[0] // self.groups, weight.shape[1], self._width)
        return own.transpose(0, 3, 1, 2).reshape(self.groups, -1, weight.shape[1])

    def unpack(self, matrix: Array, shape: Shape) -> Array:
        own = matrix.reshape(self.groups, self._width, shape[0] // self.groups, shape[1])
        weight = own.transpose(0, 2, 3, 1).reshape(shape)
        return np.flip(weight, axis=tuple(range(2, weight.ndim)))


COLUMNS: Mapping[str, type[Columns]] = MappingProxyType(
    {"Conv": _Conv, "ConvTranspose": _ConvTranspose, "Gemm": _Gemm, "MatMul": _Product}
)
"""Operators that are known as products."""


def _as(values: Any) -> Array:
    """The array itself: indexing loses its type."""
    found: Array = values
    return found


def _integer(node: NodeProto, name: str, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


def _integers(node: NodeProto, name: str, default: list[int]) -> list[int]:
    found = next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)
    return default if found is None else list(found)
