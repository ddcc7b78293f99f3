"""Small networks for the tests of the floors above surgery: built here, pruned in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def files(folder: Path) -> set[str]:
    """Names of everything below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "__pycache__" not in str(path)}


def _tensor(rng: np.random.Generator, name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)


def _model(nodes: list[NodeProto], tensors: list[TensorProto], classes: int = 10) -> ModelProto:
    x = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 8, 8])
    y = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])
    graph = helper.make_graph(nodes, "small", [x], [y], tensors)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets, producer_name="test")


def network(*, seed: int = 0, first: str = "conv1", tail: list[NodeProto] | None = None) -> ModelProto:
    """Conv 32, Conv 64, pooling, Gemm 10; all but the last layer can be pruned.

    Args:
        seed: of the weights.
        first: name of the first layer.
        tail: nodes that make the output ``logits`` out of ``scores``.
    """
    rng = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["a"], name=first, pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Conv", ["b", "conv2.weight", "conv2.bias"], ["c"], name="conv2", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], name="pool"),
        helper.make_node("Flatten", ["e"], ["f"], name="flatten"),
        helper.make_node(
            "Gemm",
            ["f", "head.weight", "head.bias"],
            ["scores" if tail else "logits"],
            name="head",
            transB=1,
        ),
    ]
    tensors = [
        _tensor(rng, "conv1.weight", 32, 3, 3, 3),
        _tensor(rng, "conv1.bias", 32),
        _tensor(rng, "conv2.weight", 64, 32, 3, 3),
        _tensor(rng, "conv2.bias", 64),
        _tensor(rng, "head.weight", 10, 64),
        _tensor(rng, "head.bias", 10),
    ]
    return _model([*nodes, *(tail or ())], tensors)


def chaotic_network() -> ModelProto:
    """A network that turns the last bit of a sum into another output, so that no comparison can succeed."""
    factor = helper.make_node("Constant", [], ["factor"], value_float=1e9)
    scaled = helper.make_node("Mul", ["scores", "factor"], ["angle"], name="scaled")
    return network(tail=[factor, scaled, helper.make_node("Sin", ["angle"], ["logits"], name="sine")])


def stubborn_network(*, both: bool = False) -> ModelProto:
    """A first layer that nothing can be removed from (its channels meet a Softmax); with ``both``, nothing at all."""
    model = network()
    nodes = list(model.graph.node)
    nodes[1] = helper.make_node("Softmax", ["a"], ["b"], name="relu1", axis=1)
    if both:
        nodes[3] = helper.make_node("Softmax", ["c"], ["d"], name="relu2", axis=1)
    return _model(nodes, list(model.graph.initializer))


def save(folder: Path, model: ModelProto, name: str = "model.onnx") -> Path:
    path = folder / name
    onnx.save(model, path)
    return path
