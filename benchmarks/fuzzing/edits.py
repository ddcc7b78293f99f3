"""Damage to the meaning of a model: each edit makes a file that still parses, and is wrong in one place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, helper, numpy_helper

Edit = Callable[[np.random.Generator, ModelProto], None]
"""Changes a model in place; leaves it alone where there is nothing of the kind."""

SIZES = (0, 1, 2, 3, 7, 64, 65537, 1 << 20, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 62) + 1, (1 << 63) - 1)
NUMBERS = (*SIZES, *(-n for n in SIZES[1:]), -(1 << 63))
FLOATS = (0.0, -1.0, 1e-45, 1e-39, 3.4e38, float("inf"), float("-inf"), float("nan"))
NAMES = (
    "",
    "x",
    "a\x1b[2J\x07b",
    "a\nb\r\t",
    "\u202etxt.exe",
    "\u200b",
    "n" * 5000,
    "\x00",
    "</td><script>",
    "'\"`|",
)
OPERATORS = (
    "Relu Add Mul Div Conv ConvTranspose Gemm MatMul Concat Split Slice Gather Reshape Transpose Flatten "
    "Softmax BatchNormalization LayerNormalization LSTM GRU RNN Pad Tile Expand Shape If Loop Scan Constant "
    "Resize Einsum "
    "ReduceMean Squeeze Unsqueeze DequantizeLinear QuantizeLinear Identity Dropout Where Range Nonsense"
).split()


def any_of(rng: np.random.Generator, things: object) -> object:
    """One of a sequence, drawn."""
    return things[int(rng.integers(len(things)))]  # type: ignore[arg-type, index]


def _node(rng: np.random.Generator, model: ModelProto) -> NodeProto:
    return any_of(rng, model.graph.node)


def _tensor(rng: np.random.Generator, model: ModelProto) -> TensorProto | None:
    held = [a.t for n in model.graph.node for a in n.attribute if a.HasField("t")]
    found = [*model.graph.initializer, *held]
    return any_of(rng, found) if found else None


def _values(model: ModelProto) -> list[str]:
    graph = model.graph
    named = [*graph.input, *graph.initializer, *graph.output]
    return [value.name for value in named] + [name for node in graph.node for name in node.output if name]


def weight_dims(rng: np.random.Generator, model: ModelProto) -> None:
    tensor = _tensor(rng, model)
    if tensor is None:
        return
    if tensor.dims and rng.random() < 0.8:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = any_of(rng, NUMBERS)
    else:
        tensor.dims.append(any_of(rng, NUMBERS))


def other_shape(rng: np.random.Generator, model: ModelProto) -> None:
    """Dims of the same product: the amount of data fits, the operators do not."""
    tensor = _tensor(rng, model)
    if tensor is not None and tensor.dims:
        tensor.dims[:] = any_of(
            rng, (tensor.dims[::-1], [int(np.prod(tensor.dims))], [1, *tensor.dims], [*tensor.dims, 1])
        )


def weight_type(rng: np.random.Generator, model: ModelProto) -> None:
    tensor = _tensor(rng, model)
    if tensor is not None:
        tensor.data_type = int(rng.integers(-1, 30))


def weight_data(rng: np.random.Generator, model: ModelProto) -> None:
    tensor = _tensor(rng, model)
    if tensor is None:
        return
    choice = int(rng.integers(5))
    if choice == 0:
        tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]
    elif choice == 1:
        tensor.ClearField("raw_data")
    elif choice == 2:
        tensor.float_data.extend([1.0] * int(rng.integers(1, 9)))
    elif choice == 3:
        tensor.int64_data.extend([any_of(rng, NUMBERS)] * int(rng.integers(1, 9)))
    else:
        tensor.string_data.append(rng.bytes(5))


def weight_values(rng: np.random.Generator, model: ModelProto) -> None:
    """Numbers that no training leaves, in the right amount."""
    tensor = _tensor(rng, model)
    if tensor is None or not tensor.raw_data or tensor.data_type not in (1, 6, 7):
        return
    if tensor.data_location != TensorProto.DEFAULT:  # by an edit before this one
        return
    values = numpy_helper.to_array(tensor).copy()
    place = rng.integers(values.size, size=1 + values.size // 8) if rng.random() < 0.7 else slice(None)
    limits = np.iinfo(values.dtype) if tensor.data_type != 1 else None
    drawn = (
        any_of(rng, FLOATS)
        if limits is None
        else any_of(rng, [n for n in NUMBERS if limits.min <= n <= limits.max])
    )
    with np.errstate(over="ignore"):
        values.reshape(-1)[place] = drawn
    tensor.raw_data = values.tobytes()


def external(rng: np.random.Generator, model: ModelProto) -> None:
    """Values that are said to lie in a file."""
    tensor = _tensor(rng, model)
    if tensor is None:
        return
    tensor.data_location = TensorProto.EXTERNAL
    places = (
        "none.bin",
        "/etc/passwd",
        "../up.bin",
        "a/../../b",
        "",
        ".",
        "model.onnx",
        "/dev/zero",
        "a\0b",
        "~",
        "file:///x",
    )
    entries = {
        "location": any_of(rng, places),
        "offset": any_of(rng, NUMBERS),
        "length": any_of(rng, NUMBERS),
    }
    for key, value in entries.items():
        if rng.random() < 0.8:
            tensor.external_data.add(key=key, value=str(value))


def input_dims(rng: np.random.Generator, model: ModelProto) -> None:
    value = any_of(rng, [*model.graph.input, *model.graph.output])
    dims = value.type.tensor_type.shape.dim
    choice = int(rng.integers(5))
    if choice == 0 or not dims:
        dims.append(TensorShapeProto.Dimension(dim_value=any_of(rng, NUMBERS)))
    elif choice == 1:
        any_of(rng, dims).dim_value = any_of(rng, NUMBERS)
    elif choice == 2:
        any_of(rng, dims).dim_param = any_of(rng, NAMES)
    elif choice == 3:
        del dims[int(rng.integers(len(dims)))]
    else:
        value.type.tensor_type.ClearField("shape")


def input_type(rng: np.random.Generator, model: ModelProto) -> None:
    value = any_of(rng, [*model.graph.input, *model.graph.output])
    choice = int(rng.integers(4))
    if choice < 2:
        value.type.tensor_type.elem_type = int(rng.integers(-1, 30))
    elif choice == 2:
        value.ClearField("type")
    else:
        value.type.sequence_type.elem_type.tensor_type.elem_type = 1


def attribute_number(rng: np.random.Generator, model: ModelProto) -> None:
    found = [
        a
        for n in model.graph.node
        for a in n.attribute
        if a.type in (AttributeProto.INT, AttributeProto.INTS)
    ]
    if not found:
        _node(rng, model).attribute.append(helper.make_attribute("axis", any_of(rng, NUMBERS)))
        return
    attribute = any_of(rng, found)
    if attribute.type == AttributeProto.INT:
        attribute.i = any_of(rng, NUMBERS)
    elif attribute.ints and rng.random() < 0.7:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = any_of(rng, NUMBERS)
    elif rng.random() < 0.5:
        attribute.ints.append(any_of(rng, NUMBERS))
    else:
        del attribute.ints[:]


def attribute_form(rng: np.random.Generator, model: ModelProto) -> None:
    found = [(n, k) for n in model.graph.node for k in range(len(n.attribute))]
    if not found:
        return
    node, place = any_of(rng, found)
    attribute, choice = node.attribute[place], int(rng.integers(7))
    if choice == 0:
        del node.attribute[place]
    elif choice == 1:
        node.attribute.append(attribute)
    elif choice == 2:
        attribute.name = any_of(rng, (*NAMES, "axis", "perm", "group", "value", "axes", "pads"))
    elif choice == 3:
        attribute.type = int(rng.integers(0, 15))
    elif choice == 4:
        attribute.ref_attr_name = any_of(rng, NAMES)
    elif choice == 5:
        attribute.CopyFrom(
            helper.make_attribute(attribute.name, any_of(rng, ("text", 1.5, [1.5, 2.5], ["a"], [1])))
        )
    else:
        attribute.s = rng.bytes(6)


def operator(rng: np.random.Generator, model: ModelProto) -> None:
    node = _node(rng, model)
    if rng.random() < 0.8:
        node.op_type = any_of(rng, OPERATORS)
    else:
        node.domain = any_of(rng, ("ai.onnx.ml", "com.microsoft", "nobody.knows", *NAMES))


def opset(rng: np.random.Generator, model: ModelProto) -> None:
    entry = any_of(rng, model.opset_import) if model.opset_import else model.opset_import.add()
    choice = int(rng.integers(4))
    if choice == 0:
        entry.version = any_of(rng, (*range(1, 30), *NUMBERS))
    elif choice == 1:
        entry.domain = any_of(rng, ("ai.onnx", "ai.onnx.ml", *NAMES))
    elif choice == 2:
        model.opset_import.add(domain=entry.domain, version=int(rng.integers(7, 22)))
    else:
        model.ir_version = any_of(rng, (*range(14), *NUMBERS))


EDITS: tuple[Edit, ...] = (
    weight_dims,
    other_shape,
    weight_type,
    weight_data,
    weight_values,
    external,
    input_dims,
    input_type,
    attribute_number,
    attribute_form,
    operator,
    opset,
)
"""Edits of what the parts of a model say; those of how they hang together are in ``rewiring``."""
