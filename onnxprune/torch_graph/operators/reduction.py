"""Reductions: axes are an attribute of older versions and an input of newer ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import REGISTRY, operator

Reduce = Callable[[Tensor, tuple[int, ...], bool], Tensor]


def mean(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The mean; of integers cut off behind the point."""
    if x.is_floating_point():
        return x.mean(axes, keepdim=keep)
    return x.double().mean(axes, keepdim=keep).to(x.dtype)


def total(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The sum, in the type of the operand."""
    return x.sum(axes, keepdim=keep, dtype=x.dtype)


def product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The product; torch multiplies along one axis at a time."""
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep, dtype=x.dtype)
    return x


def largest(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The largest element; of none, the lowest number there is."""
    if x.numel() == 0:
        return _of_nothing(x, axes, keep, highest=False)
    return x.any(axes, keep) if x.dtype == torch.bool else x.amax(axes, keepdim=keep)


def smallest(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The smallest element; of none, the highest number there is."""
    if x.numel() == 0:
        return _of_nothing(x, axes, keep, highest=True)
    return x.all(axes, keep) if x.dtype == torch.bool else x.amin(axes, keepdim=keep)


def _of_nothing(x: Tensor, axes: tuple[int, ...], keep: bool, *, highest: bool) -> Tensor:
    shape = x.sum(axes, keepdim=keep).shape
    if x.is_floating_point():
        return x.new_full(shape, torch.inf if highest else -torch.inf)
    if x.dtype == torch.bool:
        return x.new_full(shape, highest)
    return x.new_full(shape, torch.iinfo(x.dtype).max if highest else torch.iinfo(x.dtype).min)


def norm_1(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The sum of magnitudes."""
    return total(x.abs(), axes, keep)


def norm_2(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The root of the sum of squares."""
    if x.is_floating_point():
        return torch.linalg.vector_norm(x, 2, axes, keepdim=keep)
    return total(x.double().square(), axes, keep).sqrt().to(x.dtype)


def squares(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The sum of squares."""
    return total(x.square(), axes, keep)


def log_sum(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The logarithm of the sum."""
    return torch.log(total(x, axes, keep))


def log_sum_exp(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    """The logarithm of the sum of exponentials."""
    return torch.logsumexp(x, axes, keepdim=keep)


REDUCTIONS: Mapping[str, tuple[Reduce, tuple[int, ...]]] = {
    "ReduceL1": (norm_1, (1, 11, 13, 18)),
    "ReduceL2": (norm_2, (1, 11, 13, 18)),
    "ReduceLogSum": (log_sum, (1, 11, 13, 18)),
    "ReduceLogSumExp": (log_sum_exp, (1, 11, 13, 18)),
    "ReduceMax": (largest, (1, 11, 12, 13, 18, 20)),
    "ReduceMean": (mean, (1, 11, 13, 18)),
    "ReduceMin": (smallest, (1, 11, 12, 13, 18, 20)),
    "ReduceProd": (product, (1, 11, 13, 18)),
    "ReduceSum": (total, (1, 11, 13)),
    "ReduceSumSquare": (squares, (1, 11, 13, 18)),
}
"""Each reduction with the versions that changed it."""


def reduced(x: Tensor, axes: Sequence[int] | None, op: str, keep: bool, noop: bool) -> Tensor:
    """Apply a reduction to given axes, to all where there are none, or element by element.

    Args:
        x: any shape.
        axes: which; None or empty: all, or none.
        op: the reduction.
        keep: whether they stay as axes of length one.
        noop: whether no axes mean that no element meets another.
    """
    function, _ = REDUCTIONS[op]
    if axes:
        return function(x, tuple(axes), keep)
    if noop:
        return function(x.unsqueeze(0), (0,), False)
    return function(x, tuple(range(x.dim())), keep) if x.dim() else function(x.reshape(1), (0,), False)


def reduction(call: Call) -> Any:
    """Known axes go to the function itself."""
    axes = call.ints(1) if call.has(1) else call.attribute("axes")
    keep, op = bool(call.attribute("keepdims", 1)), call.node.op_type
    if isinstance(axes, list) and axes:
        return call.emit(REDUCTIONS[op][0], call.tensor(0), tuple(axes), keep)
    noop = bool(call.attribute("noop_with_empty_axes", 0))
    return call.emit(reduced, call.tensor(0), axes, op, keep, noop)


for _op, (_, _versions) in REDUCTIONS.items():
    REGISTRY.add(reduction, _op, _versions, "")


@operator("ArgMax", 1, 11, 12, 13)
def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Position of the largest element along an axis."""
    return _position(x, axis, bool(keepdims), bool(select_last_index), torch.argmax)


@operator("ArgMin", 1, 11, 12, 13)
def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """Position of the smallest element along an axis."""
    return _position(x, axis, bool(keepdims), bool(select_last_index), torch.argmin)


def _position(x: Tensor, axis: int, keep: bool, last: bool, find: Callable[..., Tensor]) -> Tensor:
    if not last:
        return find(x, axis, keepdim=keep)
    return x.shape[axis] - 1 - find(x.flip(axis), axis, keepdim=keep)
