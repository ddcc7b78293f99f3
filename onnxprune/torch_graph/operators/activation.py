"""Activation functions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.module import DropoutByRatio
from onnxprune.torch_graph.registry import emitter, operator, plain

plain(torch.sigmoid, "Sigmoid", 6, 13)
plain(torch.tanh, "Tanh", 6, 13)
plain(functional.softplus, "Softplus", 1, 22)
plain(functional.softsign, "Softsign", 1, 22)
plain(functional.hardswish, "HardSwish", 14, 22)
plain(functional.mish, "Mish", 18, 22)


_NEEDS_NO_OUTPUT = frozenset({"Add", "BatchNormalization", "Conv", "ConvTranspose", "Gemm"})
"""Operators whose gradient does not need their result."""


@emitter("Relu", 6, 13, 14)
def relu(call: Call) -> Any:
    """In place where nothing else needs the operand, as networks of torch are mostly written."""
    maker = call.builder.producer(call.node.input[0])
    alone = maker is not None and maker.op_type in _NEEDS_NO_OUTPUT
    in_place = alone and call.builder.is_read_once(call.node.input[0])
    return call.emit(functional.relu, call.tensor(0), in_place)


@emitter("Clip", 6, 11, 12, 13)
def clip(call: Call) -> Any:
    """Bounds are attributes in opset 6, inputs since 11."""
    low = call.number(1) if call.has(1) else call.attribute("min")
    high = call.number(2) if call.has(2) else call.attribute("max")
    return call.emit(clamp, call.tensor(0), low, high)


def clamp(x: Tensor, low: Any, high: Any) -> Tensor:
    """Values below the low and above the high bound become the bound; either may be absent."""
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        x = x if low is None else torch.maximum(x, torch.as_tensor(low, dtype=x.dtype, device=x.device))
        return x if high is None else torch.minimum(x, torch.as_tensor(high, dtype=x.dtype, device=x.device))
    return x if low is None and high is None else torch.clamp(x, low, high)


@operator("LeakyRelu", 6, 16)
def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """``alpha x`` below zero."""
    return functional.leaky_relu(x, alpha)


@operator("PRelu", 7, 9, 16)
def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """``slope x`` below zero; the slope broadcasts."""
    return torch.where(x < 0, x * slope, x)


@operator("Elu", 6, 22)
def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``alpha (exp(x) - 1)`` below zero."""
    return functional.elu(x, alpha)


@operator("Celu", 12)
def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``alpha (exp(x / alpha) - 1)`` below zero."""
    return functional.celu(x, alpha)


@operator("Selu", 6, 22)
def selu(x: Tensor, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Tensor:
    """``gamma alpha (exp(x) - 1)`` below zero, ``gamma x`` above."""
    return gamma * functional.elu(x, alpha)


@operator("Gelu", 20)
def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """``x`` times the normal distribution function of ``x``."""
    return functional.gelu(x, approximate=approximate)


@operator("HardSigmoid", 6, 22)
def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """``alpha x + beta``, cut to 0 and 1."""
    return torch.clamp(alpha * x + beta, 0.0, 1.0)


@operator("Swish", 24)
def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """``x sigmoid(alpha x)``."""
    return functional.silu(x) if alpha == 1.0 else x * torch.sigmoid(alpha * x)


@operator("ThresholdedRelu", 10, 22)
def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Zero up to ``alpha``."""
    return functional.threshold(x, alpha, 0.0)


@operator("Shrink", 9)
def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """Zero between ``-lambd`` and ``lambd``, moved towards zero by ``bias`` outside."""
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros_like(x)))


@emitter("Dropout", 7, 10, 12, 13, 22)
def dropout(call: Call) -> Any:
    """Drops in training mode of the module, whatever the graph says; the mask is true for what stays."""
    ratio = call.number(1) if call.has(1) else call.attribute("ratio", 0.5)
    name, x = call.node.name or "dropout", call.tensor(0)
    if isinstance(ratio, float):
        y = call.emit_module(torch.nn.Dropout(ratio), name, x)
    else:
        y = call.emit_module(DropoutByRatio(), name, x, ratio)
    return (y, call.emit(kept, x, y)) if len(call.node.output) > 1 else y


def kept(x: Tensor, y: Tensor) -> Tensor:
    """Where dropout left an element."""
    return (y != 0) | (x == 0)
