"""Small models for the tests of loading and saving."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET, IR = 17, 8
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 8, 8])


def model_of(
    nodes: Sequence[NodeProto],
    initializers: Sequence[TensorProto] = (),
    *,
    inputs: Sequence[onnx.ValueInfoProto] = (X,),
    outputs: Sequence[onnx.ValueInfoProto] = (Y,),
    opset: int = OPSET,
    ir_version: int = IR,
) -> ModelProto:
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(initializers))
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, ir_version=ir_version, opset_imports=opsets)


def floats(name: str, *shape: int, seed: int = 0) -> TensorProto:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def conv_model() -> ModelProto:
    """Convolution with a large weight and a small bias, plus one large and one small Constant node."""
    nodes = [
        helper.make_node("Constant", [], ["map"], name="large", value=floats("", 1, 4, 8, 8, seed=1)),
        helper.make_node("Constant", [], ["factor"], name="small", value_floats=[2.0]),
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["c", "map"], ["a"]),
        helper.make_node("Mul", ["a", "factor"], ["y"]),
    ]
    model = model_of(nodes, [floats("w", 4, 3, 3, 3), floats("b", 4)])
    model.doc_string = "a model"
    helper.set_model_props(model, {"author": "test"})
    model.graph.node[2].metadata_props.add(key="origin", value="layer 1")
    model.graph.input[0].doc_string = "an image"
    model.graph.initializer[0].doc_string = "filters"
    return model


def write(folder: Path, model: ModelProto, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def external_model(folder: Path, *, location: str = "weights.bin", name: str = "model.onnx") -> Path:
    """``conv_model`` with its weight at byte 64 of a file that its bias starts."""
    model = conv_model()
    raw = {tensor.name: tensor.raw_data for tensor in model.graph.initializer}
    (folder / location).write_bytes(raw["b"].ljust(64, b"\0") + raw["w"])
    for tensor, offset in zip(model.graph.initializer, (64, 0), strict=True):
        refer(tensor, location=location, offset=offset, length=len(raw[tensor.name]))
    return write(folder, model, name)


def refer(tensor: TensorProto, **entries: object) -> None:
    """Make a tensor's values lie in a file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))


def files_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
