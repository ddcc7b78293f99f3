"""The lossless clean-up: what goes, what stays, and that the outputs do not change."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.repair import clean_up


def _network(
    *, pads: int = 0, bias: float = 0.0, activation: str = "Relu"
) -> tuple[list, dict[str, np.ndarray]]:
    """conv1 (3 -> 8), activation, conv2 (8 -> 6), global pool, flatten, gemm (6 -> 4)."""
    rng = np.random.default_rng(0)
    weights = {
        "w1": rng.standard_normal((8, 3, 3, 3)),
        "b1": rng.standard_normal(8) + bias,
        "w2": rng.standard_normal((6, 8, 3, 3)),
        "w3": rng.standard_normal((4, 6)),
        "b3": rng.standard_normal(4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], "conv1"),
        helper.make_node(activation, ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[pads] * 4),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], "head", transB=1),
    ]
    return nodes, {name: value.astype(np.float32) for name, value in weights.items()}


def _model(nodes: list, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", 1, ["batch", 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _cleaned(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict]:
    cut = clean_up(couple(load_model(model)))
    result = cut.model.to_proto()
    onnx.checker.check_model(result, full_check=True)
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    before, after = (
        ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for m in (model, result)
    )
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    return result, cut.cuts


def _shape(model: onnx.ModelProto, name: str) -> list[int]:
    return next(list(t.dims) for t in model.graph.initializer if t.name == name)


def test_nothing_goes_from_a_model_without_redundancy() -> None:
    _, cuts = _cleaned(_model(*_network()))
    assert cuts == {}


def test_dead_filters_go() -> None:
    nodes, weights = _network(pads=1)
    weights["w1"][[2, 5]] = 0
    weights["b1"][[2, 5]] = 0
    result, cuts = _cleaned(_model(nodes, weights))
    assert cuts["w1"]["0"] == {"size": 8, "kept": [0, 1, 3, 4, 6, 7]}
    assert _shape(result, "w2") == [6, 6, 3, 3]


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Tanh"])
def test_a_constant_channel_moves_into_the_bias_of_its_reader(activation: str) -> None:
    nodes, weights = _network(activation=activation)
    weights["w1"][3] = 0
    weights["b1"][3] = 1.5
    result, cuts = _cleaned(_model(nodes, weights))
    assert cuts["w1"]["0"]["kept"] == [0, 1, 2, 4, 5, 6, 7]
    reader = next(n for n in result.graph.node if n.name == "conv2")
    assert len(reader.input) == 3


def test_a_constant_channel_stays_where_padding_would_show_it() -> None:
    nodes, weights = _network(pads=1)
    weights["w1"][3] = 0
    weights["b1"][3] = 1.5
    _, cuts = _cleaned(_model(nodes, weights))
    assert cuts == {}


def test_a_constant_that_the_activation_swallows_goes_in_spite_of_padding() -> None:
    nodes, weights = _network(pads=1)
    weights["w1"][3] = 0
    weights["b1"][3] = -1.5
    _, cuts = _cleaned(_model(nodes, weights))
    assert cuts["w1"]["0"]["kept"] == [0, 1, 2, 4, 5, 6, 7]


def test_duplicates_merge_into_the_first() -> None:
    nodes, weights = _network(pads=1)
    for duplicate in (4, 6):
        weights["w1"][duplicate] = weights["w1"][1]
        weights["b1"][duplicate] = weights["b1"][1]
    total = weights["w2"][:, [1, 4, 6]].sum(axis=1)
    result, cuts = _cleaned(_model(nodes, weights))
    assert cuts["w1"]["0"]["kept"] == [0, 1, 2, 3, 5, 7]
    merged = next(numpy_helper.to_array(t) for t in result.graph.initializer if t.name == "w2")
    np.testing.assert_allclose(merged[:, 1], total, rtol=1e-5)


def test_equal_filters_with_other_biases_are_no_duplicates() -> None:
    nodes, weights = _network()
    weights["w1"][4] = weights["w1"][1]
    _, cuts = _cleaned(_model(nodes, weights))
    assert cuts == {}


def test_what_one_round_frees_the_next_one_takes() -> None:
    """The dead channel was all that told two filters of the next layer apart."""
    nodes, weights = _network(pads=1)
    weights["w1"][3] = 0
    weights["b1"][3] = 0
    weights["w2"][5] = weights["w2"][2]
    weights["w2"][5, 3] += 1.0
    _, cuts = _cleaned(_model(nodes, weights))
    assert cuts["w1"]["0"]["kept"] == [0, 1, 2, 4, 5, 6, 7]
    assert cuts["w2"]["0"]["kept"] == [0, 1, 2, 3, 4]


def test_a_layer_that_is_all_dead_keeps_one_channel() -> None:
    nodes, weights = _network(pads=1)
    weights["w1"][:] = 0
    weights["b1"][:] = 0
    result, _ = _cleaned(_model(nodes, weights))
    assert _shape(result, "w1")[0] == 1


def test_a_matmul_reader_takes_the_constant_in_the_add_behind_it() -> None:
    nodes, weights = _network(pads=1)
    weights["w2"][4] = 0
    nodes[2].input.append("b2")
    weights["b2"] = np.arange(6, dtype=np.float32) - 1
    nodes[-1:] = [
        helper.make_node("MatMul", ["f", "w3t"], ["m"], "head"),
        helper.make_node("Add", ["m", "b3"], ["y"]),
    ]
    weights["w3t"] = np.ascontiguousarray(weights.pop("w3").T)
    _, cuts = _cleaned(_model(nodes, weights))
    assert cuts["w2"]["0"]["kept"] == [0, 1, 2, 3, 5]


def test_a_shared_bias_vector_is_left_alone() -> None:
    nodes, weights = _network()
    weights["w1"][3] = 0
    weights["b1"][3] = 1.5
    weights["b1"][6:] = 0.25
    nodes[2].input.append("shared")
    weights["shared"] = np.arange(6, dtype=np.float32)
    nodes.insert(-1, helper.make_node("Add", ["f", "shared"], ["f2"]))
    nodes[-1].input[0] = "f2"
    _cleaned(_model(nodes, weights))
