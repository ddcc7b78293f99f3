"""Arithmetic on the lengths of dynamic axes, done with Python integers instead of tensors.

Exporters compute shapes in the graph: ``Shape``, ``Gather``, ``Mul``, ``Concat``, then ``Reshape``. Here such
a value is an object array whose elements are integers, or ``Size`` where the length of an axis is known only
when the module runs. NumPy does the moving and the broadcasting, and no tensor is made.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np
import torch
from onnx import TensorProto, helper
from torch import fx

from onnxprune.model.constants import Array

Attributes: TypeAlias = Mapping[str, Any]
Arithmetic: TypeAlias = Callable[[Sequence[Array], Attributes], Array]

_INTEGERS = frozenset({TensorProto.INT64, TensorProto.INT32})


class Size:
    """An integer that the module computes when it runs.

    Args:
        node: what computes it.
    """

    def __init__(self, node: fx.Node) -> None:
        self.node = node

    def __add__(self, other: Any) -> Size:
        return computed(operator.add, self, other)

    def __radd__(self, other: Any) -> Size:
        return computed(operator.add, other, self)

    def __sub__(self, other: Any) -> Size:
        return computed(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Size:
        return computed(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return self if _is_one(other) else computed(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self if _is_one(other) else computed(operator.mul, other, self)

    def __floordiv__(self, other: Any) -> Any:
        return self if _is_one(other) else computed(operator.floordiv, self, other)

    def __rfloordiv__(self, other: Any) -> Size:
        return computed(operator.floordiv, other, self)

    def __mod__(self, other: Any) -> Size:
        return computed(operator.mod, self, other)

    def __rmod__(self, other: Any) -> Size:
        return computed(operator.mod, other, self)

    def __neg__(self) -> Size:
        return computed(operator.neg, self)


def computed(function: Callable[..., Any], *operands: Any) -> Size:
    """The result of a function of integers, of which at least one is a ``Size``."""
    graph = next(o.node.graph for o in operands if isinstance(o, Size))
    return Size(graph.call_function(function, tuple(unwrapped(o) for o in operands)))


def unwrapped(element: Any) -> Any:
    """An element of an array of sizes as an argument in the graph: a node or a Python integer."""
    return element.node if isinstance(element, Size) else int(element)


def choose(condition: bool, first: int, second: int) -> int:
    """The first where the condition holds, else the second."""
    return first if condition else second


def as_sizes(elements: Sequence[Any]) -> Array:
    """An array of sizes, shape (len(elements),)."""
    found = np.empty(len(elements), dtype=object)
    for i, element in enumerate(elements):
        found[i] = element
    return found


def is_sizes(value: object) -> bool:
    """Whether a value is an array of sizes."""
    return isinstance(value, np.ndarray) and value.dtype == object


def arithmetic(op: str, operands: Sequence[Array], attributes: Attributes) -> Array | None:
    """The result of an operator on sizes and constants, None where it has to be computed with tensors."""
    function = _ARITHMETIC.get(op)
    if function is None:
        return None
    try:
        return function(operands, attributes)
    except (_NeedsTensors, TypeError):  # TypeError: a bound or an index is itself a size
        return None


def _is_one(other: Any) -> bool:
    return not isinstance(other, Size) and int(other) == 1


def _elementwise(python: Callable[..., Any], run_time: Callable[..., Any]) -> Arithmetic:
    def one(*elements: Any) -> Any:
        if any(isinstance(element, Size) for element in elements):
            return computed(run_time, *elements)
        return python(*(int(element) for element in elements))

    def apply(operands: Sequence[Array], attributes: Attributes) -> Array:
        found = np.frompyfunc(one, len(operands), 1)(*operands)
        return _object(found)

    return apply


def _object(found: Any) -> Array:
    """NumPy returns a bare element where the result has no axes."""
    if isinstance(found, np.ndarray):
        return found.astype(object)
    wrapped = np.empty((), dtype=object)
    wrapped[()] = found
    return wrapped


def _by_operator(function: Callable[[Any, Any], Any]) -> Arithmetic:
    return lambda operands, attributes: _object(function(operands[0].astype(object), operands[1]))


def _axes(operands: Sequence[Array], attributes: Attributes) -> tuple[int, ...] | None:
    """Axes as newer versions give them (second input) or older ones (attribute)."""
    if len(operands) > 1:
        return tuple(int(axis) for axis in operands[1])
    return tuple(attributes["axes"]) if "axes" in attributes else None


def _unsqueeze(operands: Sequence[Array], attributes: Attributes) -> Array:
    return np.expand_dims(operands[0], _axes(operands, attributes) or ())


def _squeeze(operands: Sequence[Array], attributes: Attributes) -> Array:
    return _object(np.squeeze(operands[0], _axes(operands, attributes)))


def _gather(operands: Sequence[Array], attributes: Attributes) -> Array:
    return _object(np.take(operands[0], operands[1].astype(np.int64), axis=attributes.get("axis", 0)))


def _slice(operands: Sequence[Array], attributes: Attributes) -> Array:
    x, *bounds = operands
    if not bounds:
        bounds = [np.asarray(attributes[name]) for name in ("starts", "ends")]
        bounds += [np.asarray(attributes["axes"])] if "axes" in attributes else []
    starts, ends = bounds[0], bounds[1]
    axes = bounds[2] if len(bounds) > 2 else range(len(starts))
    steps = bounds[3] if len(bounds) > 3 else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        picked = [slice(None)] * x.ndim
        stop = None if int(step) < 0 and int(end) < -x.shape[int(axis)] else int(end)
        picked[int(axis)] = slice(int(start), stop, int(step))
        x = x[tuple(picked)]
    return x


def _concat(operands: Sequence[Array], attributes: Attributes) -> Array:
    return np.concatenate([operand.astype(object) for operand in operands], axis=attributes["axis"])


def _reshape(operands: Sequence[Array], attributes: Attributes) -> Array:
    return operands[0].reshape([int(n) for n in operands[1]])


def _cast(operands: Sequence[Array], attributes: Attributes) -> Array:
    if attributes["to"] not in _INTEGERS:
        raise _NeedsTensors(helper.tensor_dtype_to_string(attributes["to"]))
    return operands[0]


def _product(operands: Sequence[Array], attributes: Attributes) -> Array:
    if operands[0].ndim != 1:
        raise _NeedsTensors("a product over several axes")
    found = _object(prod(operands[0].tolist()))
    return found.reshape(1) if attributes.get("keepdims", 1) else found


class _NeedsTensors(Exception):
    """Sizes cannot express the result."""


_ARITHMETIC: dict[str, Arithmetic] = {
    "Identity": lambda operands, attributes: operands[0],
    "Add": _by_operator(operator.add),
    "Sub": _by_operator(operator.sub),
    "Mul": _by_operator(operator.mul),
    "Div": _by_operator(operator.floordiv),
    "Mod": _by_operator(operator.mod),
    "Neg": lambda operands, attributes: _object(-operands[0]),
    "Max": _elementwise(max, torch.sym_max),
    "Min": _elementwise(min, torch.sym_min),
    "Equal": _elementwise(operator.eq, operator.eq),
    "Greater": _elementwise(operator.gt, operator.gt),
    "Less": _elementwise(operator.lt, operator.lt),
    "Where": _elementwise(choose, choose),
    "Cast": _cast,
    "Concat": _concat,
    "Gather": _gather,
    "ReduceProd": _product,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
}
"""What exporters do to shapes; sizes are never negative, so that integer division is floor division."""
