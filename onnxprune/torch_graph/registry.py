"""The table of operators: one entry for each version of the standard that changed one.

An operator is written in one of three ways.

- ``plain``: a function of torch that takes the inputs as they are.
- ``operator``: a function with the signature that ONNX gives the operator: inputs first, attributes as
  keywords with the defaults of the standard. It runs on tensors. The annotation of an input says how the
  function wants it: ``Tensor``, ``Ints`` (a list, known beforehand wherever possible), ``Int``, or ``Number``
  (a Python number where it is a constant, else a tensor).
- ``emitter``: a function of a ``Call`` that decides while the module is built which functions of torch to
  use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from onnx import NodeProto, defs

if TYPE_CHECKING:
    from torch import Tensor

    from onnxprune.torch_graph.call import Call

Ints: TypeAlias = list[int]
"""An operand that torch wants as integers: a shape, axes, bounds."""
Int: TypeAlias = int
"""An operand of one integer."""
Number: TypeAlias = "float | Tensor"
"""An operand of one element: a Python number where it is a constant."""

Emit: TypeAlias = "Callable[[Call], Any]"
"""Adds what a node computes to the graph; returns one value, or a tuple of one an output."""
Function = TypeVar("Function", bound=Callable[..., Any])

ONNX = frozenset({"", "ai.onnx"})


@dataclass(frozen=True)
class Operand:
    """An input of an operator that is written as a function.

    Attributes:
        kind: ``Tensor``, ``Ints``, ``Int`` or ``Number``.
        variadic: stands for all further inputs.
    """

    kind: str
    variadic: bool


@dataclass(frozen=True)
class Signature:
    """What an operator that is written as a function takes.

    Attributes:
        operands: its inputs in order.
        attributes: names of the attributes that it knows.
        several: whether it returns a tuple, one value an output.
    """

    operands: tuple[Operand, ...]
    attributes: frozenset[str]
    several: bool


class Registry:
    """Operators by (domain, operator type, version that introduced this form)."""

    def __init__(self) -> None:
        self._emitters: dict[tuple[str, str, int], Emit] = {}

    def add(self, emit: Emit, op: str, versions: tuple[int, ...], domain: str) -> None:
        """Register one form of an operator.

        Raises:
            ValueError: one of the versions is registered already.
        """
        for version in versions or (1,):
            key = (domain, op, version)
            if key in self._emitters:
                raise ValueError(f"{domain or 'ai.onnx'}.{op} of version {version} is registered already")
            self._emitters[key] = emit

    def find(self, node: NodeProto, opset: int) -> Emit | None:
        """The entry for a node in a model of this opset, None where there is none."""
        domain = "" if node.domain in ONNX else node.domain
        return self._emitters.get((domain, node.op_type, since_version(domain, node.op_type, opset)))

    def entries(self) -> list[tuple[str, str, int]]:
        """All (domain, operator type, version), sorted."""
        return sorted(self._emitters)


REGISTRY = Registry()


def since_version(domain: str, op: str, opset: int) -> int:
    """The version that gave an operator the form that it has in an opset; 1 where onnx does not know it."""
    if not defs.has(op, domain):
        return 1
    try:
        return int(defs.get_schema(op, opset, domain).since_version)
    except defs.SchemaError:
        return 0


def plain(function: Callable[..., Any], op: str, *versions: int, domain: str = "") -> None:
    """Register a function of torch that takes the inputs of the operator as they are, and no attributes."""

    def emit(call: Call) -> Any:
        call.allow_attributes(frozenset())
        return call.emit(function, *(call.tensor(i) for i in range(len(call.node.input))))

    REGISTRY.add(emit, op, versions, domain)


def operator(op: str, *versions: int, domain: str = "") -> Callable[[Function], Function]:
    """Decorator that registers a function with the signature of the operator."""

    def decorate(function: Function) -> Function:
        signature = signature_of(function)
        REGISTRY.add(lambda call: call.emit_function(function, signature), op, versions, domain)
        return function

    return decorate


def emitter(op: str, *versions: int, domain: str = "") -> Callable[[Function], Function]:
    """Decorator that registers a function of a ``Call``."""

    def decorate(function: Function) -> Function:
        REGISTRY.add(function, op, versions, domain)
        return function

    return decorate


def signature_of(function: Callable[..., Any]) -> Signature:
    """What a function takes, read from its parameters and their annotations."""
    operands, attributes = [], set()
    found = inspect.signature(function)
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            attributes.add(parameter.name)
        else:
            kind = str(parameter.annotation).removesuffix(" | None")
            operands.append(Operand(kind, parameter.kind is parameter.VAR_POSITIONAL))
    several = str(found.return_annotation).startswith("tuple")
    return Signature(tuple(operands), frozenset(attributes), several)
