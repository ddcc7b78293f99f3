"""What coupling tells of a model: order of groups, layers behind operators that nobody knows."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, helper, numpy_helper

from onnxprune.coupling import couple
from onnxprune.model import load_model


def _model(
    nodes: list, constants: dict[str, tuple[int, ...]], value_info: dict[str, list] | None = None
) -> ModelProto:
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 6])],
        [helper.make_tensor_value_info("y", 1, ["n", 3])],
        [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), k) for k, s in constants.items()],
        value_info=[helper.make_tensor_value_info(k, 1, s) for k, s in (value_info or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_groups_come_in_the_order_of_their_layers() -> None:
    nodes = [
        helper.make_node("Identity", ["w2"], ["w2i"]),
        helper.make_node("MatMul", ["x", "w1"], ["a"], "first"),
        helper.make_node("MatMul", ["a", "w2i"], ["b"], "second"),
        helper.make_node("MatMul", ["b", "w3"], ["y"], "last"),
    ]
    structure = couple(load_model(_model(nodes, {"w1": (6, 8), "w2": (8, 10), "w3": (10, 3)}))).structure
    assert [(g.name, g.size) for g in structure.groups] == [("first", 8), ("second", 10)]


UNKNOWN = [
    helper.make_node("MatMul", ["x", "w1"], ["a"], "first"),
    helper.make_node("Mystery", ["a"], ["b"], "mystery", domain="own"),
    helper.make_node("MatMul", ["b", "w2"], ["c"], "second"),
    helper.make_node("MatMul", ["c", "w3"], ["y"], "last"),
]
WEIGHTS = {"w1": (6, 8), "w2": (8, 10), "w3": (10, 3)}


def test_layers_behind_an_unknown_operator_are_listed_with_the_reason() -> None:
    structure = couple(load_model(_model(UNKNOWN, WEIGHTS))).structure
    assert [(layer.name, layer.channels) for layer in structure.layers] == [
        ("first", 8),
        ("second", 10),
        ("last", 3),
    ]
    assert all(layer.reason for layer in structure.layers)
    assert "Mystery" in structure.layers[0].reason


def test_shapes_that_the_file_declares_let_coupling_go_on_behind_an_unknown_operator() -> None:
    structure = couple(load_model(_model(UNKNOWN, WEIGHTS, {"b": ["n", 8]}))).structure
    assert [(g.name, g.size) for g in structure.groups] == [("second", 10)]
    assert "Mystery" in structure.layers[0].reason
