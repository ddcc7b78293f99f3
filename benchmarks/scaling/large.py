"""Models of any number of bytes, with their weights in an external file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

CONVOLUTIONS = 4
WIDEST = 4096
DENSE = 8
"""Dense layers that a file has about, until these are as wide as they get."""
PAGE = 4096


def write(path: Path, nbytes: int) -> int:
    """Write a model and its external data, one weight in memory at a time; returns their bytes."""
    graph = onnx.GraphProto(name="large")
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16]))
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10]))
    data = path.with_suffix(".bin")
    value = "x"
    rng = np.random.default_rng(0)
    with data.open("wb") as file:
        for name, shape in _layers(nbytes):
            file.write(bytes(-file.tell() % PAGE))
            fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
            weight = rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
            graph.initializer.append(_external(f"{name}.weight", weight, data.name, file.tell()))
            file.write(weight.data)
            value = _layer(graph, name, len(shape), value)
    graph.node[-1].output[0] = "y"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path.stat().st_size + data.stat().st_size


def _layers(nbytes: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the weights: convolutions, then dense layers."""
    width = min(WIDEST, 1 << int(np.log2((nbytes / 4 / DENSE) ** 0.5)))
    convolved = width // 4
    left = nbytes
    for k in range(CONVOLUTIONS):
        shape = (convolved, convolved if k else 3, 3, 3)
        left -= 4 * int(np.prod(shape))
        yield f"conv{k}", shape
    rows = convolved
    while left > 0:
        yield f"dense{left}", (rows, width)
        left -= 4 * rows * width
        rows = width
    yield "scores", (rows, 10)


def _layer(graph: onnx.GraphProto, name: str, rank: int, value: str) -> str:
    if rank == 4:
        graph.node.append(
            helper.make_node("Conv", [value, f"{name}.weight"], [name], name=name, pads=[1] * 4)
        )
    elif graph.node[-2].op_type == "Conv":
        graph.node.append(helper.make_node("GlobalAveragePool", [value], ["pooled"], name="pooled"))
        graph.node.append(helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"))
        graph.node.append(helper.make_node("Gemm", ["flat", f"{name}.weight"], [name], name=name))
    else:
        graph.node.append(helper.make_node("Gemm", [value, f"{name}.weight"], [name], name=name))
    if name != "scores":
        graph.node.append(helper.make_node("Relu", [name], [f"{name}.relu"], name=f"{name}.relu"))
    return f"{name}.relu"


def _external(name: str, weight: np.ndarray[Any, Any], location: str, offset: int) -> TensorProto:
    tensor = TensorProto(name=name, dims=weight.shape, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", weight.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
