"""Pools: over windows and over everything."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.spatial import (
    AVERAGE_POOLS,
    CONVOLUTIONS,
    MAX_POOLS,
    Window,
    padded,
    window_of,
)
from onnxprune.torch_graph.registry import emitter, operator


@emitter("MaxPool", 1, 8, 10, 11, 12, 22)
def max_pool(call: Call) -> Any:
    """The largest element of each window, and where it was."""
    window = window_of(call, call.attribute("kernel_shape"))
    x, pads = call.tensor(0), window.symmetric
    if len(call.node.output) > 1:
        by_columns = bool(call.attribute("storage_order", 0))
        found = call.emit(max_pool_with_indices, x, window, by_columns=by_columns)
        return call.item(found, 0), call.item(found, 1)
    if pads is not None and all(2 * p <= k for p, k in zip(pads, window.kernel, strict=True)):
        order = (window.kernel, window.strides, pads, window.dilations, window.ceil_mode)
        return call.emit(MAX_POOLS[len(pads)], x, *order)
    return call.emit(max_pool_padded, x, window)


def max_pool_padded(x: Tensor, window: Window) -> Tensor:
    """A maximum over windows with any padding."""
    x, ceil_mode = _lowest_around(x, window), window.ceil_mode
    pool = MAX_POOLS[len(window.kernel)]
    return pool(x, window.kernel, window.strides, 0, window.dilations, ceil_mode)


def _lowest_around(x: Tensor, window: Window) -> Tensor:
    lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    return padded(x, window.pairs(x.shape[2:]), lowest)


def max_pool_with_indices(x: Tensor, window: Window, *, by_columns: bool) -> tuple[Tensor, Tensor]:
    """Maxima, and their positions in the whole tensor as if it were flat.

    Args:
        x: shape (N, C, ...).
        window: of the pool.
        by_columns: whether positions count the first spatial axis fastest.
    """
    pairs = window.pairs(x.shape[2:])
    wide = _lowest_around(x, window)
    pool = MAX_POOLS[len(window.kernel)]
    y, flat = pool(
        wide, window.kernel, window.strides, 0, window.dilations, window.ceil_mode, return_indices=True
    )
    places = []
    for length, (before, _) in zip(reversed(wide.shape[2:]), reversed(pairs), strict=True):
        places.append(flat % length - before)
        flat = flat // length
    lengths = list(reversed(x.shape[2:]))
    if by_columns:
        places, lengths = places[::-1], lengths[::-1]
    index = torch.zeros_like(flat)
    for place, length in zip(reversed(places), reversed(lengths), strict=True):
        index = index * length + place
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device).reshape(*x.shape[:2], *[1] * len(pairs))
    return y, index + planes * prod(x.shape[2:])


@emitter("AveragePool", 7, 10, 11, 19, 22)
def average_pool(call: Call) -> Any:
    """The mean of each window, padding counted or not."""
    window = window_of(call, call.attribute("kernel_shape"))
    counted = bool(call.attribute("count_include_pad", 0))
    x, pads = call.tensor(0), window.symmetric
    plain = pads is not None and all(d == 1 for d in window.dilations)
    if plain and pads is not None and all(2 * p <= k for p, k in zip(pads, window.kernel, strict=True)):
        order = (window.kernel, window.strides, pads, window.ceil_mode, counted or not any(pads))
        return call.emit(AVERAGE_POOLS[len(pads)], x, *order)
    return call.emit(average_pool_padded, x, window, counted=counted)


def average_pool_padded(x: Tensor, window: Window, *, counted: bool) -> Tensor:
    """A mean over windows with any padding and dilation.

    Args:
        x: shape (N, C, ...).
        window: of the pool.
        counted: whether zeros of the padding count.
    """
    pairs = window.pairs(x.shape[2:])
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    total = window_sums(padded(x, pairs), window)
    return total / window_sums(padded(ones, pairs, 1.0 if counted else 0.0), window)


def window_sums(x: Tensor, window: Window) -> Tensor:
    """The sum of each window of an already padded tensor, shape (N, C, ...)."""
    rank = len(window.kernel)
    if window.ceil_mode:
        x = padded(x, [(0, _beyond(n, *one)) for n, one in zip(x.shape[2:], _axes_of(window), strict=True)])
    kernel = torch.ones((1, 1, *window.kernel), dtype=x.dtype, device=x.device)
    planes = x.reshape(-1, 1, *x.shape[2:])
    sums = CONVOLUTIONS[rank](planes, kernel, None, window.strides, 0, window.dilations)
    return sums.reshape(*x.shape[:2], *sums.shape[2:])


def _axes_of(window: Window) -> list[tuple[int, int, int]]:
    return list(zip(window.kernel, window.strides, window.dilations, strict=True))


def _beyond(length: int, kernel: int, stride: int, dilation: int) -> int:
    """How far a last window reaches beyond the end; one that would start there is left out."""
    span = (kernel - 1) * dilation + 1
    steps = -(-(length - span) // stride)
    if steps * stride >= length:
        steps -= 1
    return max(steps * stride + span - length, 0)


@emitter("LpPool", 2, 11, 18, 22)
def lp_pool(call: Call) -> Any:
    """The p-norm of each window."""
    window = window_of(call, call.attribute("kernel_shape"))
    return call.emit(lp_pool_padded, call.tensor(0), window, call.attribute("p", 2))


def lp_pool_padded(x: Tensor, window: Window, p: int) -> Tensor:
    """A p-norm over windows with any padding."""
    powers = padded(x.abs() ** p, window.pairs(x.shape[2:]))
    return window_sums(powers, window) ** (1.0 / p)


@emitter("GlobalAveragePool", 1, 22)
def global_average_pool(call: Call) -> Any:
    """The mean over all axes behind the channels."""
    shape = call.shape(0)
    if shape is not None and len(shape) > 2:
        return call.emit(torch.mean, call.tensor(0), tuple(range(2, len(shape))), True)
    return call.emit(global_mean, call.tensor(0))


def global_mean(x: Tensor) -> Tensor:
    """The mean over all axes behind the channels, whatever their number."""
    return x.mean(tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalMaxPool", 1, 22)
def global_max_pool(x: Tensor) -> Tensor:
    """The largest element over all axes behind the channels."""
    return x.amax(tuple(range(2, x.dim())), keepdim=True)


@operator("GlobalLpPool", 2, 22)
def global_lp_pool(x: Tensor, *, p: int = 2) -> Tensor:
    """The p-norm over all axes behind the channels."""
    return (x.abs() ** p).sum(tuple(range(2, x.dim())), keepdim=True) ** (1.0 / p)
