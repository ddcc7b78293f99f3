"""Sorting, counting and picking by value."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.indexing import counted_from_start
from onnxprune.torch_graph.registry import Int, emitter, operator


@emitter("TopK", 1, 10, 11, 24)
def top_k(call: Call) -> Any:
    """The number is an attribute in opset 1."""
    k = call.integer(1) if call.has(1) else call.attribute("k")
    axis, largest = call.attribute("axis", -1), bool(call.attribute("largest", 1))
    found = call.emit(top, call.tensor(0), k, axis, largest)
    return call.item(found, 0), call.item(found, 1)


def top(x: Tensor, k: int, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
    """The first elements in order and their places; of equal ones, those that come first."""
    values, places = torch.sort(x, dim=axis, descending=largest, stable=True)
    return values.narrow(axis, 0, k), places.narrow(axis, 0, k)


@operator("OneHot", 9, 11)
def one_hot(index: Tensor, depth: Int, values: Tensor, *, axis: int = -1) -> Tensor:
    """One value at the index along a new axis, another elsewhere; an index outside is nowhere."""
    whole = index.to(torch.int64)
    whole = torch.where(whole < 0, whole + depth, whole)
    hot = whole.unsqueeze(-1) == torch.arange(depth, device=index.device)
    y = torch.where(hot, values[1], values[0])
    return y.movedim(-1, axis)


@operator("NonZero", 9, 13)
def non_zero(x: Tensor) -> Tensor:
    """The places of elements that are not zero, shape (rank, found)."""
    return torch.nonzero(x).t()


@operator("CumSum", 11, 14)
def cum_sum(x: Tensor, axis: Int, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Sums of all that came before along an axis."""
    return _running(torch.cumsum, x, axis, 0.0, bool(exclusive), bool(reverse))


@operator("CumProd", 26)
def cum_prod(x: Tensor, axis: Int, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """Products of all that came before along an axis."""
    return _running(torch.cumprod, x, axis, 1.0, bool(exclusive), bool(reverse))


def _running(function: Any, x: Tensor, axis: int, start: float, exclusive: bool, reverse: bool) -> Tensor:
    x = x.flip(axis) if reverse else x
    y = function(x, axis, dtype=x.dtype)
    if exclusive:
        first = torch.full_like(x.narrow(axis, 0, 1), start)
        y = torch.cat([first, y.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return y.flip(axis) if reverse else y


@operator("Compress", 9, 11)
def compress(x: Tensor, condition: Tensor, *, axis: int | None = None) -> Tensor:
    """The slices along an axis, or the elements, where a condition holds."""
    index = torch.nonzero(condition).reshape(-1)
    return x.reshape(-1).index_select(0, index) if axis is None else x.index_select(axis, index)


@operator("ReverseSequence", 10)
def reverse_sequence(x: Tensor, lengths: Tensor, *, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    """The beginning of each sequence, as long as it says, backwards."""
    moved = x.movedim((batch_axis, time_axis), (0, 1))
    time = torch.arange(moved.shape[1], device=x.device)
    ends = lengths.unsqueeze(1)
    index = torch.where(time < ends, ends - 1 - time, time)
    index = index.reshape(*index.shape, *[1] * (moved.dim() - 2)).expand_as(moved)
    return torch.gather(moved, 1, index).movedim((0, 1), (batch_axis, time_axis))


@operator("MaxUnpool", 9, 11, 22)
def max_unpool(
    x: Tensor,
    index: Tensor,
    output_shape: Tensor | None = None,
    *,
    kernel_shape: tuple[int, ...],
    pads: tuple[int, ...] = (),
    strides: tuple[int, ...] = (),
) -> Tensor:
    """Maxima back to where they came from; the index counts all elements of the small result."""
    rank = len(kernel_shape)
    strides, pads = strides or (1,) * rank, pads or (0,) * 2 * rank
    small = [
        (n - 1) * s - pads[i] - pads[rank + i] + k
        for i, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel_shape, strict=True))
    ]
    flat = x.new_zeros(torch.Size([*x.shape[:2], *small]).numel())
    y = flat.scatter(0, index.reshape(-1), x.reshape(-1)).reshape(*x.shape[:2], *small)
    if output_shape is None:
        return y
    amounts = [n for have, want in zip(reversed(y.shape), reversed(output_shape.tolist()), strict=True)
               for n in (0, want - have)]  # fmt: skip
    return functional.pad(y, amounts)


__all__ = ["counted_from_start"]
