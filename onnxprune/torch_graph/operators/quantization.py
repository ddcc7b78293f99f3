"""Quantise and dequantise; both together let gradients straight through (Bengio et al., arXiv 1308.3432)."""

from __future__ import annotations

from typing import Any

import torch
from onnx import TensorProto
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.shapes import DTYPES
from onnxprune.torch_graph.registry import emitter, operator

_WHOLE = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16, TensorProto.INT32)


@emitter("QuantizeLinear", 10, 13, 19, 21, 23, 24, 25)
def quantize_linear(call: Call) -> Any:
    """Integers of at least eight bits; the zero point tells which."""
    dtype = _type_of(call)
    scale, zero = call.tensor(1), call.tensor(2)
    return call.emit(quantize, call.tensor(0), scale, zero, *_layout(call), dtype=dtype)


@emitter("DequantizeLinear", 10, 13, 19, 21, 23, 24, 25)
def dequantize_linear(call: Call) -> Any:
    """Of what was quantised just before, both together."""
    maker = call.builder.producer(call.node.input[0])
    scale, zero = call.tensor(1), call.tensor(2)
    if maker is not None and maker.op_type == "QuantizeLinear":
        before = Call(call.builder, maker, call.label)
        operands = (before.tensor(0), scale, zero, *_layout(call))
        return call.emit(rounded, *operands, dtype=_type_of(before))
    return call.emit(dequantize, call.tensor(0), scale, zero, *_layout(call))


def _type_of(call: Call) -> torch.dtype:
    zero = call.builder.element_type(call.node.input[2]) if call.has(2) else 0
    found = zero or call.attribute("output_dtype", 0) or TensorProto.UINT8
    if found not in _WHOLE:
        raise call.unsupported(f"to the type {TensorProto.DataType.Name(found)}")
    return DTYPES[found]


def _layout(call: Call) -> tuple[int, int]:
    return call.attribute("axis", 1), call.attribute("block_size", 0)


def spread(parameter: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """A scale or zero point so that it broadcasts against what it belongs to.

    Args:
        parameter: one value, one an index of the axis, or one a block of indices.
        x: what it belongs to.
        axis: of ``x``.
        block: how many indices share one value; 0 where there are no blocks.
    """
    if parameter.numel() == 1 and parameter.dim() < 2:
        return parameter.reshape(())
    if block:
        return parameter.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    shape = [1] * x.dim()
    shape[axis] = -1
    return parameter.reshape(shape) if parameter.dim() == 1 else parameter


def quantize(
    x: Tensor, scale: Tensor, zero: Tensor | None, axis: int, block: int, *, dtype: torch.dtype
) -> Tensor:
    """``round(x / scale) + zero`` within the bounds of the type."""
    bounds = torch.iinfo(dtype)
    whole = torch.round(x / spread(scale, x, axis, block))
    if zero is not None:
        whole = whole + spread(zero, x, axis, block).to(whole.dtype)
    return whole.clamp(bounds.min, bounds.max).to(dtype)


def dequantize(x: Tensor, scale: Tensor, zero: Tensor | None, axis: int, block: int) -> Tensor:
    """``(x - zero) scale``, in the type of the scale."""
    whole = x.to(torch.int32)
    if zero is not None:
        whole = whole - spread(zero, x, axis, block).to(torch.int32)
    return whole.to(scale.dtype) * spread(scale, x, axis, block)


def rounded(
    x: Tensor, scale: Tensor, zero: Tensor | None, axis: int, block: int, *, dtype: torch.dtype
) -> Tensor:
    """Quantised and dequantised; the gradient is that of the bounds, as if nothing had been rounded."""
    bounds, step = torch.iinfo(dtype), spread(scale, x, axis, block)
    exact = x / step
    whole = exact + (torch.round(exact) - exact).detach()
    offset = 0 if zero is None else spread(zero, x, axis, block).to(x.dtype)
    return (torch.clamp(whole + offset, bounds.min, bounds.max) - offset) * step


@operator("DynamicQuantizeLinear", 11)
def dynamic_quantize_linear(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """To bytes by the range of the elements, which always holds zero; with scale and zero point."""
    low, high = x.min().clamp(max=0.0), x.max().clamp(min=0.0)
    scale = (high - low) / 255
    zero = torch.round((-low / scale).clamp(0, 255))
    return (torch.round(x / scale) + zero).clamp(0, 255).to(torch.uint8), scale, zero.to(torch.uint8)
