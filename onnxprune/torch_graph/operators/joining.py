"""Operators that make an axis longer: by another tensor, by padding, by copies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import Int, Ints, Number, emitter, operator


@emitter("Concat", 4, 11, 13)
def concat(call: Call) -> Any:
    """Tensors one after the other along an axis."""
    parts = [call.tensor(i) for i in range(len(call.node.input))]
    return call.emit(torch.cat, parts, call.attribute("axis"))


@emitter("Pad", 2, 11, 13, 18, 19, 21, 23, 24, 25)
def pad(call: Call) -> Any:
    """Amounts are attributes in opset 2, inputs since 11, for chosen axes since 18."""
    amounts = call.ints(1) if call.has(1) else call.attribute("pads")
    value = call.number(2) if call.has(2) else call.attribute("value", 0.0)
    return call.emit(
        pad_axes, call.tensor(0), amounts, value, call.ints(3), call.attribute("mode", "constant")
    )


def pad_axes(x: Tensor, amounts: Ints, value: Number, axes: Ints | None, mode: str) -> Tensor:
    """Pad axes at both ends; negative amounts cut off.

    Args:
        x: any shape.
        amounts: all beginnings, then all ends.
        value: of the padding in the mode ``constant``.
        axes: which axes the amounts are for, None for all in order.
        mode: ``constant``, ``reflect``, ``edge`` or ``wrap``.
    """
    chosen = range(x.dim()) if axes is None else [axis % x.dim() for axis in axes]
    half = len(amounts) // 2
    pairs = {axis: (amounts[i], amounts[half + i]) for i, axis in enumerate(chosen)}
    if mode == "constant":
        flat = [n for axis in reversed(range(x.dim())) for n in pairs.get(axis, (0, 0))]
        return functional.pad(x, flat, value=value.item() if isinstance(value, Tensor) else value)
    for axis, (before, after) in pairs.items():
        if before or after:
            x = x.index_select(axis, _sources(x.shape[axis], before, after, mode).to(x.device))
    return x


def _sources(length: int, before: int, after: int, mode: str) -> Tensor:
    """For each index of a padded axis the index that it copies."""
    index = torch.arange(-before, length + after)
    if mode == "edge":
        return index.clamp(0, length - 1)
    if mode == "wrap" or length == 1:
        return index % length
    index = index % (2 * length - 2)
    return torch.where(index < length, index, 2 * length - 2 - index)


@operator("Tile", 6, 13)
def tile(x: Tensor, repeats: Ints) -> Tensor:
    """Copies along every axis."""
    return x.repeat(repeats)


@operator("Expand", 8, 13)
def expand(x: Tensor, shape: Ints) -> Tensor:
    """Axes of length one repeated, in the tensor or in the target."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape)))


@operator("Trilu", 14)
def trilu(x: Tensor, k: Int = 0, *, upper: int = 1) -> Tensor:
    """The upper or lower triangle of the last two axes; the rest is zero."""
    return torch.triu(x, k) if upper else torch.tril(x, k)
