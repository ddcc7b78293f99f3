"""Put graph and constants together again: the whole model in memory, or its bytes piece by piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from onnxprune.errors import OutputError
from onnxprune.model.constants import Array, Constant
from onnxprune.model.detach import is_constant, value_attribute
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted

DATA_FIELDS = (
    "float_data",
    "int32_data",
    "string_data",
    "int64_data",
    "uint64_data",
    "double_data",
    "raw_data",
    "external_data",
    "data_location",
)
_CONSTANT_VALUES = ("value_float", "value_floats", "value_int", "value_ints", "value")


def assemble(model: Model) -> ModelProto:
    """The whole model: untouched constants as the source spells them, changed ones as raw data.

    Raises:
        OutputError: where a constant has no place in the graph, or a tensor of the graph no values.
    """
    proto = ModelProto()
    proto.CopyFrom(model.proto)
    check_places(model)
    for tensor in proto.graph.initializer:
        constant = model.constants.get(tensor.name)
        if constant is not None:
            fill(tensor, constant)
    for node in proto.graph.node:
        constant = model.constants.get(node.output[0]) if is_constant(node) else None
        if constant is not None:
            fill_node(node, constant, fill)
    return proto


def fill(tensor: TensorProto, constant: Constant) -> None:
    """Give a tensor of the graph the values of its constant."""
    name = tensor.name
    if constant.original is not None:
        tensor.CopyFrom(constant.original())
        if tensor.name != name:  # a copy under a new name
            tensor.name = name
    else:
        hollow(tensor, constant)
        tensor.raw_data = payload(constant).tobytes()


def fill_node(
    node: NodeProto, constant: Constant, fill_tensor: Callable[[TensorProto, Constant], None]
) -> None:
    """Give a Constant node the values of its constant, in its ``value`` attribute if they changed."""
    attribute = value_attribute(node)
    if constant.original is None and attribute is None:
        kept = [a for a in node.attribute if a.name not in _CONSTANT_VALUES]
        del node.attribute[:]
        node.attribute.extend(kept)
        attribute = node.attribute.add(name="value", type=AttributeProto.TENSOR)
    if attribute is not None:
        fill_tensor(attribute.t, constant)


def hollow(tensor: TensorProto, constant: Constant) -> None:
    """Make a tensor of the graph describe its changed constant: dims and type, no values yet."""
    for name in DATA_FIELDS:
        tensor.ClearField(name)
    tensor.dims[:] = constant.shape
    tensor.data_type = constant.data_type


def payload(constant: Constant) -> Array:
    """The values of a changed constant as ``raw_data`` stores them, shape (bytes,).

    Raises:
        OutputError: where the values do not fit the constant's own type and shape.
    """
    values = constant.values()
    expected = onnx.helper.tensor_dtype_to_np_dtype(constant.data_type) if constant.can_be_cut else None
    if values.dtype != expected or values.shape != constant.shape:
        raise OutputError(
            f"Constant {quoted(constant.name)} should be {list(constant.shape)} of {expected}, "
            f"its new values are {list(values.shape)} of {values.dtype}.",
            hint="This is a fault of onnxprune: please report it.",
        )
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def check_places(model: Model) -> None:
    """Refuse constants that the graph has no tensor for, and emptied tensors without a constant."""
    graph = model.proto.graph
    places = {tensor.name for tensor in graph.initializer}
    places |= {node.output[0] for node in graph.node if is_constant(node)}
    lost = [name for name in model.constants if name not in places]
    empty = [name for name in emptied(graph) if name not in model.constants]
    if lost or empty:
        what = (
            f"constant {quoted(lost[0])} has no tensor"
            if lost
            else f"tensor {quoted(empty[0])} has no values"
        )
        raise OutputError(
            f"Graph and constants do not match: {what} ({len(lost)} and {len(empty)} such names).",
            hint="This is a fault of onnxprune: please report it.",
        )


def emptied(graph: GraphProto) -> list[str]:
    """Names of the graph's constants that have no values of their own."""
    tensors = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in graph.node:
        attribute = value_attribute(node) if is_constant(node) else None
        if attribute is not None:
            tensors.append((node.output[0], attribute.t))
    return [name for name, tensor in tensors if not _has_values(tensor)]


def _has_values(tensor: TensorProto) -> bool:
    if tensor.HasField("raw_data") or 0 in tensor.dims:
        return True
    return any(len(getattr(tensor, name)) for name in DATA_FIELDS[:6])
