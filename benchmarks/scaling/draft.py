"""A graph that is being written, in any operator set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]

MOVED = {
    "Clip": 11,
    "Pad": 11,
    "ReduceMean": 18,
    "Slice": 10,
    "Split": 13,
    "Squeeze": 13,
    "Unsqueeze": 13,
    "Upsample": 9,
}
"""The operator set in which what an attribute said became an input."""
OLDEST_IR = 3
"""In which every initializer is an input of the graph too."""


class Draft:
    """Adds nodes and weights; weights are drawn from one stream.

    Args:
        opset: of the operators.
        dtype: NumPy's type of weights, inputs and outputs.
        seed: of the weights.
    """

    def __init__(self, opset: int = 17, dtype: npt.DTypeLike = np.float32, seed: int = 0) -> None:
        self.graph = GraphProto(name="g")
        self.opset, self.dtype = opset, np.dtype(dtype)
        self.rng = np.random.default_rng(seed)

    @property
    def element_type(self) -> int:
        """ONNX's number of the element type."""
        return int(helper.np_dtype_to_tensor_dtype(self.dtype))

    def constant(self, name: str, values: Array | float) -> str:
        """Add an initializer as it is."""
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name: str, *shape: int, gain: float = 0.0) -> str:
        """Add a weight of normal values; without a gain it keeps the variance of what it reads."""
        scale = gain or 1 / max(1, int(np.prod(shape[1:]))) ** 0.5
        values = self.rng.standard_normal(shape, np.float32) * np.float32(scale)
        return self.constant(name, values.astype(self.dtype))

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, which it is named after."""
        self.graph.node.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def sized(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], fixed: dict[str, Any], **numbers: Any
    ) -> None:
        """Add a node whose numbers are attributes or inputs, by operator set.

        Args:
            op: of ``MOVED``.
            inputs: before the numbers.
            outputs: all of them; the first names the node.
            fixed: attributes in every operator set.
            numbers: ints, floats, or lists of them, by the name of the attribute, in the order of the inputs.
        """
        given = list(inputs)
        if self.opset >= MOVED[op]:
            for key, value in numbers.items():
                values = np.asarray(value)
                values = values.astype(np.int64 if values.dtype.kind == "i" else np.float32)
                given.append(self.constant(f"{outputs[0]}.{key}", values))
            numbers = {}
        self.graph.node.append(helper.make_node(op, given, outputs, name=outputs[0], **fixed, **numbers))

    def model(self, input_shape: Sequence[Any], output_shape: Sequence[Any], ir: int = 0) -> ModelProto:
        """The model from ``x`` to ``y``.

        Args:
            input_shape: of ``x``; ints, and names for what is free.
            output_shape: of ``y``.
            ir: IR version, 0 for the lowest that the operator set belongs to.
        """
        self.graph.input.append(helper.make_tensor_value_info("x", self.element_type, input_shape))
        self.graph.output.append(helper.make_tensor_value_info("y", self.element_type, output_shape))
        imports = [helper.make_opsetid("", self.opset)]
        ir = ir or helper.find_min_ir_version_for(imports)
        if ir <= OLDEST_IR:
            for tensor in self.graph.initializer:
                self.graph.input.append(_declared(tensor))
        return helper.make_model(self.graph, opset_imports=imports, ir_version=ir)


def _declared(tensor: TensorProto) -> Any:
    return helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
