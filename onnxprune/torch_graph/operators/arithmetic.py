"""Arithmetic on each element alone, with broadcasting."""

from __future__ import annotations

import operator as python
from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import REGISTRY, Number, operator, plain

for _op, _function, *_versions in (
    ("Abs", torch.abs, 6, 13),
    ("Acos", torch.acos, 7, 22),
    ("Acosh", torch.acosh, 9, 22),
    ("Asin", torch.asin, 7, 22),
    ("Asinh", torch.asinh, 9, 22),
    ("Atan", torch.atan, 7, 22),
    ("Atanh", torch.atanh, 9, 22),
    ("Ceil", torch.ceil, 6, 13),
    ("Cos", torch.cos, 7, 22),
    ("Cosh", torch.cosh, 9, 22),
    ("Erf", torch.erf, 9, 13),
    ("Exp", torch.exp, 6, 13),
    ("Floor", torch.floor, 6, 13),
    ("Log", torch.log, 6, 13),
    ("Neg", torch.neg, 6, 13),
    ("Reciprocal", torch.reciprocal, 6, 13),
    ("Round", torch.round, 11, 22),
    ("Sign", torch.sign, 9, 13),
    ("Sin", torch.sin, 7, 22),
    ("Sinh", torch.sinh, 9, 22),
    ("Sqrt", torch.sqrt, 6, 13),
    ("Tan", torch.tan, 7, 22),
):
    plain(_function, _op, *_versions)


def divide(x: Any, y: Any) -> Any:
    """The quotient, rounded towards zero where both are integers."""
    whole = not any(_is_float(operand) for operand in (x, y))
    return torch.div(x, y, rounding_mode="trunc") if whole else x / y


def _is_float(operand: Any) -> bool:
    return operand.is_floating_point() if isinstance(operand, Tensor) else isinstance(operand, float)


def binary(function: Callable[[Any, Any], Any], op: str, *versions: int) -> None:
    """Register a function of two operands, of which a constant of one element becomes a number."""

    def emit(call: Call) -> Any:
        call.allow_attributes(frozenset())
        return call.emit(function, *numbers_where_possible(call))

    REGISTRY.add(emit, op, versions, "")


def numbers_where_possible(call: Call) -> list[Any]:
    """Two operands, one as a Python number if it is a constant that adds no axes to the other."""
    ranks = [rank_of(call, i) for i in (0, 1)]
    operands = []
    for i, other in ((0, ranks[1]), (1, ranks[0])):
        own = ranks[i]
        fits = own == 0 or (own is not None and other is not None and own <= other)
        operands.append(call.number(i) if fits and call.known(1 - i) is None else call.tensor(i))
    return operands


def rank_of(call: Call, i: int) -> int | None:
    """Number of axes of an input, None where it is unknown."""
    known = call.known(i)
    shape = call.shape(i)
    return known.ndim if known is not None else None if shape is None else len(shape)


binary(python.sub, "Sub", 7, 13, 14)
binary(python.mul, "Mul", 7, 13, 14)
binary(divide, "Div", 7, 13, 14)


@operator("Pow", 7, 12, 13, 15)
def power(x: Tensor, exponent: Number) -> Tensor:
    """The result has the type of the base."""
    return torch.pow(x, exponent).to(x.dtype)


@operator("Mod", 10, 13)
def mod(x: Tensor, y: Tensor, *, fmod: int = 0) -> Tensor:
    """The remainder with the sign of the divisor, or of the dividend with ``fmod``."""
    return torch.fmod(x, y) if fmod else torch.remainder(x, y)


@operator("Max", 6, 8, 12, 13)
def maximum(*operands: Tensor) -> Tensor:
    """The largest of all operands."""
    return reduce(torch.maximum, operands)


@operator("Min", 6, 8, 12, 13)
def minimum(*operands: Tensor) -> Tensor:
    """The smallest of all operands."""
    return reduce(torch.minimum, operands)


@operator("Sum", 6, 8, 13)
def total(*operands: Tensor) -> Tensor:
    """The sum of all operands."""
    return reduce(torch.add, operands)


@operator("Mean", 6, 8, 13)
def mean(*operands: Tensor) -> Tensor:
    """The mean of all operands."""
    return reduce(torch.add, operands) / len(operands)
