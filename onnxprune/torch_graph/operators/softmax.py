"""The softmax family: over one axis since opset 13, over everything from an axis on before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.registry import operator


def hardmax_of(x: Tensor, axis: int) -> Tensor:
    """One at the first largest element along an axis, zero elsewhere."""
    return torch.zeros_like(x).scatter(axis, x.argmax(axis, keepdim=True), 1.0)


def flattened(function: Callable[[Tensor, int], Any], x: Tensor, axis: int) -> Tensor:
    """Apply a function over all axes from one on, together."""
    rows = x.shape[: axis % x.dim()] if x.dim() else x.shape
    return function(x.reshape(*rows, -1), -1).reshape(x.shape)


@operator("Softmax", 13)
def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """Exponentials that sum to one."""
    return torch.softmax(x, axis)


@operator("Softmax", 1, 11)
def softmax_1(x: Tensor, *, axis: int = 1) -> Tensor:
    """The same over all axes from one on."""
    return flattened(torch.softmax, x, axis)


@operator("LogSoftmax", 13)
def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """Logarithm of the softmax."""
    return torch.log_softmax(x, axis)


@operator("LogSoftmax", 1, 11)
def log_softmax_1(x: Tensor, *, axis: int = 1) -> Tensor:
    """The same over all axes from one on."""
    return flattened(torch.log_softmax, x, axis)


@operator("Hardmax", 13)
def hardmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """One at the largest element."""
    return hardmax_of(x, axis)


@operator("Hardmax", 1, 11)
def hardmax_1(x: Tensor, *, axis: int = 1) -> Tensor:
    """The same over all axes from one on."""
    return flattened(hardmax_of, x, axis)
