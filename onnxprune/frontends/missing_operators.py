"""Operators that TensorFlow writes and tf2onnx 1.17 does not know: what GELU becomes.

A handler gets tf2onnx's graph and the node; it puts ONNX nodes in the node's place. tf2onnx's own types are
not public, hence ``Any``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import Any

import numpy as np

Handler = Callable[[Any, Any, str, Any], None]


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """``1 - erf(x)``."""
    make = _Maker(graph, node)
    make.last("Sub", [make.constant("one", 1.0), make("Erf", [node.input[0]])])


def _gelu(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """``x / 2 (1 + erf(x / sqrt 2))``, or its approximation by tanh where the file asks for that."""
    make = _Maker(graph, node)
    x = node.input[0]
    if node.get_attr_value("approximate", False):
        cube = make("Mul", [make("Mul", [x, x]), x])
        sum_ = make("Add", [x, make("Mul", [cube, make.constant("cubic", 0.044715)])])
        curve = make("Tanh", [make("Mul", [sum_, make.constant("slope", sqrt(2 / pi))])])
    else:
        curve = make("Erf", [make("Mul", [x, make.constant("slope", sqrt(0.5))])])
    half = make("Mul", [x, make.constant("half", 0.5)])
    make.last("Mul", [half, make("Add", [curve, make.constant("one", 1.0)])])


HANDLERS: Mapping[str, tuple[Handler, list[str]]] = {"Erfc": (_erfc, []), "TFL_GELU": (_gelu, [])}
"""For ``custom_op_handlers`` of tf2onnx: the handler and its arguments by operator."""


class _Maker:
    """Puts nodes in the place of one that it removes."""

    def __init__(self, graph: Any, node: Any) -> None:
        self._graph, self._name, self._outputs = graph, node.name, list(node.output)
        self._shapes, self._dtypes = node.output_shapes, node.output_dtypes
        self._dtype = graph.get_dtype(node.input[0])
        self._made = 0
        graph.remove_node(node.name)

    def __call__(self, operator: str, inputs: list[str]) -> str:
        self._made += 1
        name = f"{self._name}/{operator}_{self._made}"
        made = self._graph.make_node(operator, inputs, name=name, shapes=self._shapes, dtypes=self._dtypes)
        return str(made.output[0])

    def last(self, operator: str, inputs: list[str]) -> None:
        """The node whose output is that of the one replaced."""
        options = {"shapes": self._shapes, "dtypes": self._dtypes}
        self._graph.make_node(operator, inputs, outputs=self._outputs, name=self._name, **options)

    def constant(self, name: str, value: float) -> str:
        """A scalar of the element type of the input."""
        from onnx.helper import tensor_dtype_to_np_dtype

        array = np.array(value, tensor_dtype_to_np_dtype(self._dtype))
        return str(self._graph.make_const(f"{self._name}/{name}", array).output[0])
