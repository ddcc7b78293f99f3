"""Small networks of which some units are multiples of others, and what they compute."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnxruntime as ort
from onnx import NodeProto, helper, numpy_helper

from onnxprune.coupling import couple
from onnxprune.model import Model, load_model
from onnxprune.surgery import apply

F = np.float32
UNITS = 8
KEPT = np.array([0, 1, 2, 3, 4, 7])
"""Units that stay; 5 is twice unit 1, 6 half of unit 3."""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def images(count: int = 64, seed: int = 1) -> np.ndarray:
    return rng(seed).standard_normal((count, 3, 8, 8)).astype(F)


def model(nodes: list[NodeProto], weights: Mapping[str, np.ndarray], width: int = 4) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", 1, ["batch", width])],
        [numpy_helper.from_array(np.asarray(value, F), name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def twins(array: np.ndarray) -> np.ndarray:
    """The array with its rows 5 and 6 made multiples of rows 1 and 3."""
    array[5], array[6] = 2 * array[1], 0.5 * array[3]
    return array


def chain(
    middle: list[NodeProto], *, reader: Mapping[str, object] | None = None, group: int = 1
) -> onnx.ModelProto:
    """conv1 (3 -> 8), what is in the middle from ``c`` to ``a``, conv2 (8 -> 6), pool, gemm (6 -> 4)."""
    weights = {
        "w1": twins(rng().standard_normal((UNITS, 3, 3, 3))),
        "b1": twins(rng(2).standard_normal(UNITS)),
        "w2": rng(3).standard_normal((6, UNITS // group, 3, 3)),
        "w3": rng(4).standard_normal((4, 6)),
        "b3": rng(5).standard_normal(4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c"], "conv1", pads=[1] * 4),
        *middle,
        helper.make_node("Conv", ["a", "w2"], ["d"], "conv2", group=group, **(reader or {})),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "head", transB=1),
    ]
    return model(nodes, weights)


def normalized(*, kernel: int = 3, seed: int = 0) -> onnx.ModelProto:
    """conv1 (3 -> 16), batch normalisation by the statistics of random images, relu, conv2, pool, gemm."""
    units = 16
    weight = rng(seed).standard_normal((units, 3, kernel, kernel)).astype(F)
    conv = helper.make_node("Conv", ["x", "w1"], ["c"], "conv1")
    shape = helper.make_tensor_value_info("c", 1, None)
    alone = helper.make_graph(
        [conv],
        "g",
        [helper.make_tensor_value_info("x", 1, [None, 3, 8, 8])],
        [shape],
        [numpy_helper.from_array(weight, "w1")],
    )
    opset = [helper.make_opsetid("", 17)]
    found = run(helper.make_model(alone, opset_imports=opset, ir_version=8), images(256))
    weights = {
        "w1": weight,
        "gamma": rng(seed + 1).uniform(0.5, 1.5, units),
        "beta": rng(seed + 2).standard_normal(units),
        "mean": found.mean(axis=(0, 2, 3)),
        "var": found.var(axis=(0, 2, 3)),
        "w2": rng(seed + 3).standard_normal((6, units, 3, 3)),
        "w3": rng(seed + 4).standard_normal((4, 6)),
        "b3": rng(seed + 5).standard_normal(4),
    }
    nodes = [
        conv,
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["n"], epsilon=1e-5),
        helper.make_node("Relu", ["n"], ["a"]),
        helper.make_node("Conv", ["a", "w2"], ["d"], "conv2"),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "head", transB=1),
    ]
    return model(nodes, weights)


def run(proto: onnx.ModelProto | Model, x: np.ndarray) -> np.ndarray:
    made = proto.to_proto() if isinstance(proto, Model) else proto
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def cut(proto: onnx.ModelProto, kept: Mapping[str, np.ndarray]):
    """The coupling of a network and its plain cut."""
    coupling = couple(load_model(proto))
    return coupling, apply(coupling, kept)


def error(proto: onnx.ModelProto, after: Model, x: np.ndarray) -> float:
    """Norm of the change of the outputs, relative to theirs."""
    before = run(proto, x)
    return float(np.linalg.norm(run(after, x) - before) / np.linalg.norm(before))
