"""One node, as the functions that translate it see it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper
from torch import fx, nn

from onnxprune.errors import InputError
from onnxprune.model.constants import Array
from onnxprune.torch_graph.registry import Signature
from onnxprune.torch_graph.run_time import to_floats, to_int, to_ints
from onnxprune.torch_graph.sizes import is_sizes, unwrapped

if TYPE_CHECKING:
    from onnxprune.torch_graph.builder import GraphBuilder


class Call:
    """A node with what is known of its operands.

    Args:
        builder: of the graph that is being made.
        node: the node.
        label: how messages call it.
    """

    def __init__(self, builder: GraphBuilder, node: NodeProto, label: str) -> None:
        self.builder = builder
        self.node = node
        self.label = label
        self.attributes: Mapping[str, Any] = {a.name: _attribute(a) for a in node.attribute}

    def has(self, i: int) -> bool:
        """Whether input ``i`` is given."""
        return i < len(self.node.input) and bool(self.node.input[i])

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default of the standard."""
        return self.attributes.get(name, default)

    def tensor(self, i: int) -> fx.Node | None:
        """Input ``i`` as a tensor; None where it is absent."""
        return self.builder.tensor(self.node.input[i]) if self.has(i) else None

    def known(self, i: int) -> Array | None:
        """The values of input ``i`` where they are known beforehand, else None."""
        return self.builder.known(self.node.input[i]) if self.has(i) else None

    def ints(self, i: int) -> Any:
        """Input ``i`` as a list of integers, or as a node that makes one when the module runs."""
        if not self.has(i):
            return None
        sizes = self.builder.sizes(self.node.input[i])
        if sizes is None:
            return self.emit(to_ints, self.tensor(i))
        return [unwrapped(element) for element in sizes.reshape(-1)]

    def floats(self, i: int) -> Any:
        """Input ``i`` as a list of numbers, or as a node that makes one; None where it is absent or empty."""
        known = self.known(i)
        if known is not None:
            return [float(element) for element in known.reshape(-1)] or None
        return self.emit(to_floats, self.tensor(i)) if self.has(i) else None

    def integer(self, i: int) -> Any:
        """Input ``i`` as one integer, or as a node that makes it when the module runs."""
        if not self.has(i):
            return None
        sizes = self.builder.sizes(self.node.input[i])
        return self.emit(to_int, self.tensor(i)) if sizes is None else unwrapped(sizes.reshape(-1)[0])

    def number(self, i: int) -> Any:
        """Input ``i``, one element, as a Python number where it is a constant or a size, else as a tensor."""
        if not self.has(i):
            return None
        name = self.node.input[i]
        value = self.builder.sizes(name)
        if value is None or value.size != 1 or self.builder.is_parameter(name):
            return self.tensor(i)
        element = value.reshape(-1)[0]
        return unwrapped(element) if is_sizes(value) else element.item()

    def shape(self, i: int) -> tuple[int | None, ...] | None:
        """Shape of input ``i``, None for a dynamic length, None for all where the rank is unknown."""
        return self.builder.shape(self.node.input[i]) if self.has(i) else None

    def output_shape(self, k: int) -> tuple[int | None, ...] | None:
        """Shape of output ``k``, as that of an input."""
        return self.builder.shape(self.node.output[k])

    def is_fed(self, i: int) -> bool:
        """Whether input ``i`` depends on an input of the graph."""
        return self.builder.is_fed(self.node.input[i])

    def emit(self, function: Callable[..., Any], *operands: Any, **attributes: Any) -> fx.Node:
        """Call a function when the module runs."""
        return self.builder.graph.call_function(function, operands, attributes)

    def emit_module(self, module: nn.Module, name: str, *operands: Any) -> fx.Node:
        """Call a module, which becomes a part of the whole, when it runs."""
        return self.builder.graph.call_module(self.builder.add_module(name, module), operands)

    def emit_function(self, function: Callable[..., Any], signature: Signature) -> Any:
        """Call a function that has the signature of the operator."""
        self.allow_attributes(signature.attributes)
        operands: list[Any] = []
        for i, operand in enumerate(signature.operands):
            if operand.variadic:
                operands += [self._operand(operand.kind, j) for j in range(i, len(self.node.input))]
            elif i < len(self.node.input):
                operands.append(self._operand(operand.kind, i))
        if len(self.node.input) > len(operands) and any(self.node.input[len(operands) :]):
            raise self.unsupported(f"with input {len(operands)}")
        while operands and operands[-1] is None:
            operands.pop()
        result = self.emit(function, *operands, **self.attributes)
        if not signature.several:
            return result
        return tuple(self.item(result, k) for k in range(len(self.node.output)))

    def item(self, result: fx.Node, k: int) -> fx.Node:
        """Element ``k`` of a tuple."""
        return self.emit(operator.getitem, result, k)

    def allow_attributes(self, names: frozenset[str]) -> None:
        """Refuse attributes that the translation knows nothing of.

        Raises:
            InputError: naming the attribute.
        """
        for name in self.attributes:
            if name not in names:
                raise self.unsupported(f"with the attribute {name!r}")

    def unsupported(self, what: str) -> InputError:
        """The error for a node that cannot be translated.

        Args:
            what: which form of the operator, as in "with the attribute 'x'".
        """
        domain = f"{self.node.domain}." if self.node.domain else ""
        return InputError(
            f"Node {self.label}: {domain}{self.node.op_type} of opset {self.builder.opset(self.node.domain)} "
            f"{what} cannot be turned into torch.".replace("  ", " "),
            hint="Export the model with another opset or without this operator; docs/torch.md lists what is "
            "supported. Pruning itself does not need torch.",
        )

    def _operand(self, kind: str, i: int) -> Any:
        return _READERS[kind](self, i)


_READERS: Mapping[str, Callable[[Call, int], Any]] = {
    "Tensor": Call.tensor,
    "Ints": Call.ints,
    "Int": Call.integer,
    "Number": Call.number,
}


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return np.asarray(numpy_helper.to_array(value))
    if attribute.type == attribute.STRINGS:
        return [text.decode(errors="replace") for text in value]
    return list(value) if attribute.type in (attribute.INTS, attribute.FLOATS) else value


__all__ = ["Call", "is_sizes"]
