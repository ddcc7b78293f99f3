"""Which factor of an axis is pruned, and which is held in its favour."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from onnx import helper, numpy_helper

from onnxprune.coupling import couple
from onnxprune.coupling.partners import hold_partners
from onnxprune.model import load_model
from onnxprune.surgery import apply


def held(products, sizes, *, statistic=(), granularity="inner"):
    leaves = [np.arange(n) for n in sizes]
    return hold_partners(products, leaves, set(statistic), granularity)


def test_the_inner_factor_is_pruned() -> None:
    assert held([(0, 1)], [12, 64]) == {0: 1}


def test_the_outer_factor_is_pruned_on_request_however_few() -> None:
    assert held([(0, 1)], [3, 64], granularity="outer") == {1: 0}


def test_a_factor_with_few_units_gives_way() -> None:
    assert held([(0, 1)], [12, 2]) == {1: 0}


def test_a_statistic_runs_over_whole_groups_where_there_are_enough() -> None:
    assert held([(0, 1)], [32, 8], statistic=[1]) == {1: 0}
    assert held([(0, 1)], [2, 8], statistic=[1]) == {0: 1}


def test_one_factor_of_three_stays_free() -> None:
    assert held([(0, 1, 2)], [4, 8, 16]) == {0: 2, 1: 2}


def test_a_held_group_is_not_chosen_elsewhere() -> None:
    assert held([(0, 1), (1, 2)], [8, 8, 8]) == {0: 1, 1: 2}


@pytest.mark.parametrize(("granularity", "dims"), [("inner", (4, 4)), ("outer", (2, 8))])
def test_heads_or_their_dimensions_go(granularity: str, dims: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    shapes = {"wq": (6, 32), "wk": (6, 32), "wv": (6, 32), "wo": (32, 6), "head": (6, 3)}
    nodes = []
    for name in "qkv":
        nodes += [
            helper.make_node("MatMul", ["x", f"w{name}"], [f"{name}0"], f"proj_{name}"),
            helper.make_node("Reshape", [f"{name}0", "split"], [f"{name}1"]),
            helper.make_node(
                "Transpose", [f"{name}1"], [f"{name}2"], perm=[0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
            ),
        ]
    nodes += [
        helper.make_node("MatMul", ["q2", "k2"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "v2"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["back"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["back", "join"], ["flat"]),
        helper.make_node("MatMul", ["flat", "wo"], ["o"], "proj_o"),
        helper.make_node("MatMul", ["o", "head"], ["y"], "head"),
    ]
    constants = {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    constants |= {"split": np.array([0, 5, 4, 8]), "join": np.array([0, 5, 32])}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 5, 6])],
        [helper.make_tensor_value_info("y", 1, ["n", 5, 3])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    coupling = couple(load_model(model), granularity=granularity)
    kept = {g.name: np.arange(g.size // 2) for g in coupling.structure.groups if not g.held}
    cut = apply(coupling, kept)
    pruned = cut.model.to_proto()
    oracle.check(model, pruned, cut.cuts)
    target = next(
        t
        for t in pruned.graph.initializer
        if t.name == next(n for n in pruned.graph.node if n.op_type == "Reshape").input[1]
    )
    assert tuple(numpy_helper.to_array(target)[2:]) == dims
