"""Operators that regroup or reorder axes without changing an element."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import Ints, emitter, operator

_EACH = (21, 23, 24, 25)
"""Versions that only added element types."""


@emitter("Reshape", 5, 13, 14, 19, *_EACH)
def reshape(call: Call) -> Any:
    """A target that holds the batch of an export with a fixed one takes any batch."""
    x, target = call.tensor(0), call.ints(1)
    keep_zeros = bool(call.attribute("allowzero", 0))
    free = _with_free_batch(call)
    if free is not None:
        return call.emit(torch.reshape, x, free)
    if isinstance(target, list) and (keep_zeros or 0 not in target):
        return call.emit(torch.reshape, x, tuple(target))
    return call.emit(reshape_to, x, target, keep_zeros=keep_zeros)


def _with_free_batch(call: Call) -> tuple[int, ...] | None:
    """The static target with its leading length free; None where it is not static or must stay."""
    out = call.output_shape(0)
    if not call.builder.has_fixed_batch or not call.is_fed(0) or not out or None in out or 0 in out:
        return None
    return (-1, *[n for n in out[1:] if n is not None])


def reshape_to(x: Tensor, target: Ints, *, keep_zeros: bool) -> Tensor:
    """Regroup to a target in which a zero takes the length over."""
    if keep_zeros:
        return x.reshape(target)
    return x.reshape([n if n != 0 else x.shape[axis] for axis, n in enumerate(target)])


@emitter("Flatten", 1, 9, 11, 13, *_EACH)
def flatten(call: Call) -> Any:
    """Two axes: those before one, and those from it on."""
    axis, shape = call.attribute("axis", 1), call.shape(0)
    if axis == 1 and shape is not None and len(shape) > 1:
        return call.emit(torch.flatten, call.tensor(0), 1)
    return call.emit(flatten_at, call.tensor(0), axis)


def flatten_at(x: Tensor, axis: int) -> Tensor:
    """Two axes, whatever the rank."""
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))


@operator("Transpose", 1, 13, *_EACH)
def transpose(x: Tensor, *, perm: Ints | None = None) -> Tensor:
    """Axes in another order, by default reversed."""
    return x.permute(tuple(range(x.dim()))[::-1] if perm is None else perm)


@emitter("Squeeze", 1, 11, 13, *_EACH)
def squeeze(call: Call) -> Any:
    """Without some axes of length one, or without all of them."""
    axes = call.ints(1) if call.has(1) else call.attribute("axes")
    return call.emit(squeeze_axes, call.tensor(0), axes)


def squeeze_axes(x: Tensor, axes: Ints | None) -> Tensor:
    """Without some axes of length one, or without all of them."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@emitter("Unsqueeze", 1, 11, 13, *_EACH)
def unsqueeze(call: Call) -> Any:
    """With axes of length one, counted in the result."""
    axes = call.ints(1) if call.has(1) else call.attribute("axes")
    if isinstance(axes, list) and len(axes) == 1:
        return call.emit(torch.unsqueeze, call.tensor(0), axes[0])
    return call.emit(unsqueeze_axes, call.tensor(0), axes)


def unsqueeze_axes(x: Tensor, axes: Ints) -> Tensor:
    """With several axes of length one, counted in the result."""
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator("DepthToSpace", 1, 11, 13)
def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """Channels become blocks of pixels."""
    n, c, h, w = x.shape
    b, rest = blocksize, c // blocksize**2
    if mode == "CRD":
        return x.reshape(n, rest, b, b, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, rest, h * b, w * b)
    return x.reshape(n, b, b, rest, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, rest, h * b, w * b)


@operator("SpaceToDepth", 1, 13)
def space_to_depth(x: Tensor, *, blocksize: int) -> Tensor:
    """Blocks of pixels become channels."""
    n, c, h, w = x.shape
    b = blocksize
    blocks = x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * b * b, h // b, w // b)
