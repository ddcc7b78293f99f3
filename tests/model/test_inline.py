"""Local functions: inlined, the layers inside them can be pruned."""

from __future__ import annotations

import numpy as np
import onnx
import oracle
import pytest
from onnx import helper, numpy_helper

import onnxprune
from onnxprune.errors import InputError
from onnxprune.model import load_model
from onnxprune.model.inline import inline_functions

OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]


def _model() -> onnx.ModelProto:
    """Two dense layers and an activation, each a call of a function."""
    dense = helper.make_function(
        "own", "Dense", ["x", "w", "b"], ["y"],
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Add", ["m", "b"], ["y"])],
        OPSETS[:1],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    shapes = {"w1": (6, 16), "b1": (16,), "w2": (16, 3), "b2": (3,)}
    graph = helper.make_graph(
        [
            helper.make_node("Dense", ["x", "w1", "b1"], ["a"], "first", domain="own"),
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("Dense", ["r", "w2", "b2"], ["y"], "second", domain="own"),
        ],
        "g",
        [helper.make_tensor_value_info("x", 1, ["n", 6])],
        [helper.make_tensor_value_info("y", 1, ["n", 3])],
        [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), k) for k, s in shapes.items()],
    )
    return helper.make_model(graph, opset_imports=OPSETS, ir_version=8, functions=[dense])


def test_a_model_without_functions_is_the_same_object() -> None:
    model = load_model(onnx.load_from_string(_plain()))
    assert inline_functions(model) is model


def _plain() -> bytes:
    model = _model()
    return onnx.inliner.inline_local_functions(model).SerializeToString()


def test_layers_inside_functions_are_pruned() -> None:
    source = _model()
    result = onnxprune.prune(source, ratio=0.5, align="off")
    assert result.report.cuts["w1"] == {"1": {"size": 16, "kept": result.report.cuts["w1"]["1"]["kept"]}}
    assert len(result.report.cuts["w1"]["1"]["kept"]) == 8
    assert result.report.verification["masked_equivalence"]["passed"]
    oracle.check(onnx.load_from_string(_plain()), result.model.to_proto(), result.report.cuts)


def test_functions_that_call_themselves_are_refused() -> None:
    model = _model()
    model.functions[0].node.append(helper.make_node("Dense", ["x", "w", "b"], ["z"], domain="own"))
    model.functions[0].opset_import.append(OPSETS[1])
    with pytest.raises(InputError):
        onnxprune.prune(model, ratio=0.5)
