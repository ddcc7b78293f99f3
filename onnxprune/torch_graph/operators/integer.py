"""Layers of integers: they run, but nothing in them can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.convolution import pad_for
from onnxprune.torch_graph.operators.quantization import quantize
from onnxprune.torch_graph.operators.spatial import CONVOLUTIONS, Window, window_of
from onnxprune.torch_graph.registry import emitter, operator


def shifted(x: Tensor, zero: Tensor | None, axis: int) -> Tensor:
    """Integers without their zero point, as doubles, which hold their products exactly.

    Args:
        x: any shape.
        zero: one value, or one an index of the axis; None for zero.
        axis: of ``x``.
    """
    wide = x.double()
    if zero is None:
        return wide
    if zero.dim() == 1 and zero.numel() > 1:
        zero = zero.reshape([-1 if k == axis % x.dim() else 1 for k in range(x.dim())])
    return wide - zero.double()


@operator("MatMulInteger", 10)
def matmul_integer(
    a: Tensor, b: Tensor, zero_a: Tensor | None = None, zero_b: Tensor | None = None
) -> Tensor:
    """A product of matrices of bytes."""
    return (shifted(a, zero_a, -2) @ shifted(b, zero_b, -1)).to(torch.int32)


@operator("QLinearMatMul", 10, 21)
def quantized_matmul(*operands: Tensor) -> Tensor:
    """A product of quantised matrices, quantised again; each tensor with its scale and zero point."""
    a, scale_a, zero_a, b, scale_b, zero_b, scale, zero = operands
    product = (shifted(a, zero_a, -2) @ shifted(b, zero_b, -1)).to(scale_a.dtype)
    rows = scale_a.unsqueeze(-1) if scale_a.dim() == 1 and scale_a.numel() > 1 else scale_a
    return quantize(product * (rows * scale_b), scale, zero, -1, 0, dtype=zero.dtype)


@emitter("ConvInteger", 10)
def conv_integer(call: Call) -> Any:
    """A convolution of bytes."""
    operands = [call.tensor(i) for i in range(4)]
    return call.emit(convolve, *operands, *_window(call))


@emitter("QLinearConv", 10)
def quantized_conv(call: Call) -> Any:
    """A convolution of quantised bytes, quantised again."""
    return call.emit(convolve_quantized, [call.tensor(i) for i in range(9)], *_window(call))


def _window(call: Call) -> tuple[Window, int]:
    place = 1 if call.node.op_type == "ConvInteger" else 3
    shape = call.attribute("kernel_shape") or (call.shape(place) or ())[2:]
    return window_of(call, [n for n in shape if n is not None]), call.attribute("group", 1)


def convolve(
    x: Tensor, weight: Tensor, zero_x: Tensor | None, zero_w: Tensor | None, window: Window, group: int
) -> Tensor:
    """A convolution of integers, exact."""
    padded = pad_for(shifted(x, zero_x, 1), window)
    kernel = shifted(weight, zero_w, 0)
    conv = CONVOLUTIONS[len(window.kernel)]
    return conv(padded, kernel, None, window.strides, 0, window.dilations, group).to(torch.int32)


def convolve_quantized(operands: Sequence[Tensor], window: Window, group: int) -> Tensor:
    """A convolution of quantised bytes; the operands are in the order of ONNX."""
    x, scale_x, zero_x, weight, scale_w, zero_w, scale, zero, bias = operands
    y = convolve(x, weight, zero_x, zero_w, window, group)
    channels = [1, -1, *[1] * len(window.kernel)]
    y = y if bias is None else y + bias.reshape(channels)
    return quantize(y * (scale_x * scale_w.reshape(channels)), scale, zero, 1, 0, dtype=zero.dtype)
