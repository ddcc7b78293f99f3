"""Convolutions and transposed convolutions over one, two or three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.spatial import (
    CONVOLUTIONS,
    TRANSPOSED,
    Window,
    padded,
    same_pads,
    window_of,
)
from onnxprune.torch_graph.registry import emitter


@emitter("Conv", 1, 11, 22)
def conv(call: Call) -> Any:
    """A convolution; what is padded unevenly is padded first."""
    window = window_of(call, _kernel(call))
    x, weight, bias = call.tensor(0), call.tensor(1), call.tensor(2)
    group, rank = call.attribute("group", 1), len(window.kernel)
    if window.symmetric is not None:
        return call.emit(
            CONVOLUTIONS[rank], x, weight, bias, window.strides, window.symmetric, window.dilations, group
        )
    x = call.emit(pad_for, x, window)
    return call.emit(CONVOLUTIONS[rank], x, weight, bias, window.strides, 0, window.dilations, group)


def _kernel(call: Call) -> Sequence[int]:
    shape = call.shape(1)
    kernel = call.attribute("kernel_shape") or (shape[2:] if shape is not None else None)
    if not kernel or len(kernel) not in CONVOLUTIONS or None in kernel:
        raise call.unsupported("whose kernel has no static shape of one to three axes")
    return tuple(kernel)


def pad_for(x: Tensor, window: Window) -> Tensor:
    """Zeros around the spatial axes, as many as the window asks for."""
    return padded(x, window.pairs(x.shape[2:]))


@emitter("ConvTranspose", 1, 11, 22)
def conv_transpose(call: Call) -> Any:
    """A transposed convolution; padding takes away from its result."""
    window = window_of(call, _kernel(call))
    x, weight, bias = call.tensor(0), call.tensor(1), call.tensor(2)
    group, rank = call.attribute("group", 1), len(window.kernel)
    extra = tuple(call.attribute("output_padding", (0,) * rank))
    wanted = call.attribute("output_shape")
    simple = window.symmetric is not None and wanted is None
    if simple and all(e < max(s, d) for e, s, d in zip(extra, window.strides, window.dilations, strict=True)):
        order = (window.strides, window.symmetric, extra, group, window.dilations)
        return call.emit(TRANSPOSED[rank], x, weight, bias, *order)
    wide = call.emit(TRANSPOSED[rank], x, weight, None, window.strides, 0, 0, group, window.dilations)
    return call.emit(crop, x, wide, bias, window, extra, wanted)


def crop(
    x: Tensor,
    wide: Tensor,
    bias: Tensor | None,
    window: Window,
    extra: Sequence[int],
    wanted: Sequence[int] | None,
) -> Tensor:
    """What is left of a transposed convolution without padding once the padding is taken away.

    Args:
        x: its input, shape (N, C, ...).
        wide: its whole result without bias.
        bias: one value a channel.
        window: of the convolution.
        extra: what is added at the end of each axis.
        wanted: lengths of the result, which decide the padding.
    """
    pairs = _taken(x, wide, window, extra, wanted)
    y = padded(wide, [(-before, e - after) for (before, after), e in zip(pairs, extra, strict=True)])
    return y if bias is None else y + bias.reshape(-1, *[1] * len(extra))


def _taken(
    x: Tensor, wide: Tensor, window: Window, extra: Sequence[int], wanted: Sequence[int] | None
) -> list[tuple[int, int]]:
    lengths, whole = x.shape[2:], wide.shape[2:]
    if wanted is None and window.pads is not None:
        return window.pairs(lengths)
    goal = wanted or [n * s for n, s in zip(lengths, window.strides, strict=True)]
    upper = window.auto_pad == "SAME_UPPER"
    totals = [n + e - g for n, e, g in zip(whole, extra, goal[-len(extra) :], strict=True)]
    return [(t // 2, t - t // 2) if upper else (t - t // 2, t // 2) for t in totals]


__all__ = ["conv", "conv_transpose", "same_pads"]
