"""If nodes: the guarded squeezes of exporters are followed, real decisions are barriers."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from pruning import prune_randomly

from onnxprune.coupling import couple
from onnxprune.model import load_model


def _guarded(condition: list, branches: tuple[list, list], *, inputs: list | None = None) -> ModelProto:
    """conv, pool, If that squeezes, gemm; the branch graphs read ``p`` and give ``t`` and ``e``."""
    rng = np.random.default_rng(0)
    graphs = [
        helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(out, 1, None)])
        for nodes, name, out in zip(branches, ("then", "else"), ("t", "e"), strict=True)
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        *condition,
        helper.make_node("If", ["cond"], ["s"], "guard", then_branch=graphs[0], else_branch=graphs[1]),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["y"], "head"),
    ]
    constants = {"w": rng.standard_normal((12, 3, 3, 3)), "v": rng.standard_normal((12, 4))}
    initializers = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()]
    initializers += [
        numpy_helper.from_array(np.array(v), k) for k, v in {"three": [3], "one": [1], "k3": 3}.items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 3, 6, 6]), *(inputs or [])],
        [helper.make_tensor_value_info("y", 1, ["n", 4])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)


LAST_IS_ONE = [
    helper.make_node("Shape", ["p"], ["d"]),
    helper.make_node("Gather", ["d", "k3"], ["last"], axis=0),
    helper.make_node("Equal", ["last", "one"], ["cond"]),
]
SQUEEZE = [
    helper.make_node("Constant", [], ["a"], value=numpy_helper.from_array(np.array([3]))),
    helper.make_node("Squeeze", ["p", "a"], ["t"]),
]
PASS = [helper.make_node("Identity", ["p"], ["e"])]


def test_a_squeeze_guarded_by_a_known_size_is_followed() -> None:
    model = _guarded(LAST_IS_ONE, (SQUEEZE, PASS))
    pruned = prune_randomly(model, 0.4, 0)
    assert pruned.cuts["w"]["0"]["size"] == 12
    oracle.check(model, pruned.proto, pruned.cuts)


def test_a_decision_on_data_is_a_barrier() -> None:
    flag = helper.make_tensor_value_info("cond", TensorProto.BOOL, [])
    structure = couple(load_model(_guarded([], (SQUEEZE, PASS), inputs=[flag]))).structure
    assert not structure.groups
    assert "If" in structure.layers[0].reason


@pytest.mark.parametrize(
    "branch",
    [
        [helper.make_node("Conv", ["p", "w2"], ["t"])],
        [helper.make_node("Add", ["p", "v"], ["t"])],
    ],
    ids=["unknown-weight", "outer-weight"],
)
def test_a_branch_with_weights_is_a_barrier(branch: list) -> None:
    model = _guarded(LAST_IS_ONE, (branch, PASS))
    if "w2" in branch[0].input:
        weight = numpy_helper.from_array(np.ones((12, 12, 1, 1), dtype=np.float32), "w2")
        model.graph.initializer.append(weight)
    structure = couple(load_model(model)).structure
    assert not structure.groups
    assert "If" in structure.layers[0].reason
