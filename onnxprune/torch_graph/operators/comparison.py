"""Comparisons, logic, and the choice between two operands."""

from __future__ import annotations

import operator as python

import torch
from torch import Tensor

from onnxprune.torch_graph.operators.arithmetic import binary
from onnxprune.torch_graph.registry import operator, plain

binary(torch.eq, "Equal", 7, 11, 13, 19)
binary(python.gt, "Greater", 7, 9, 13)
binary(python.ge, "GreaterOrEqual", 12, 16)
binary(python.lt, "Less", 7, 9, 13)
binary(python.le, "LessOrEqual", 12, 16)

for _op, _function, *_versions in (
    ("And", torch.logical_and, 7),
    ("Or", torch.logical_or, 7),
    ("Xor", torch.logical_xor, 7),
    ("Not", torch.logical_not, 1),
    ("BitwiseAnd", torch.bitwise_and, 18),
    ("BitwiseOr", torch.bitwise_or, 18),
    ("BitwiseXor", torch.bitwise_xor, 18),
    ("BitwiseNot", torch.bitwise_not, 18),
    ("IsNaN", torch.isnan, 9, 13, 20),
    ("Where", torch.where, 9, 16),
):
    plain(_function, _op, *_versions)


@operator("IsInf", 10, 20)
def is_inf(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """Whether an element is infinite, of the signs that count."""
    if detect_negative and detect_positive:
        return torch.isinf(x)
    return torch.isposinf(x) if detect_positive else torch.isneginf(x) if detect_negative else x != x


@operator("BitShift", 11)
def bit_shift(x: Tensor, amount: Tensor, *, direction: str) -> Tensor:
    """Bits moved up or down."""
    return x << amount if direction == "LEFT" else x >> amount
