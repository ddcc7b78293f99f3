"""Tracing: shapes with frozen symbols, and the integers that shape arithmetic comes to."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

from onnxprune.model import load_model
from onnxprune.model.trace import trace_pair


def _traced(text: str, **constants: np.ndarray):
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    return trace_pair(load_model(model))


HEAD = '<ir_version: 8, opset_import: ["" : {opset}]> g (float[{shape}] x) => (float y) {{ {body} }}'


def test_static_shapes_need_one_trace() -> None:
    pair = _traced(HEAD.format(opset=17, shape="2,3,8,8", body="a = Relu(x) y = Flatten(a)"))
    assert pair.first is pair.second
    assert pair.first.shapes["y"] == (2, 192)


def test_a_dim_that_differs_between_the_traces_is_dynamic() -> None:
    pair = _traced(HEAD.format(opset=17, shape="n,3,h,8", body="y = Relu(x)"))
    assert [pair.is_static("y", k) for k in range(4)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("opset", "unsqueeze", "constants"),
    [
        (11, "Unsqueeze<axes=[0]>({})", {}),
        (13, "Unsqueeze({}, zero)", {"zero": np.array([0])}),
    ],
)
def test_a_shape_chain_is_folded(opset: int, unsqueeze: str, constants: dict[str, np.ndarray]) -> None:
    body = f"s = Shape(x) n = Gather(s, first) v = {unsqueeze.format('n')} t = Concat<axis=0>(v, rest) y = Reshape(x, t)"
    pair = _traced(
        HEAD.format(opset=opset, shape="n,3,4,4", body=body),
        first=np.array(0),
        rest=np.array([-1]),
        **constants,
    )
    assert pair.first.shapes["y"] == (pair.first.freeze.batch, 48)
    assert pair.first.values["t"].tolist() == [pair.first.freeze.batch, -1]
    assert pair.first.unknown == 0


def test_spatial_symbols_survive_strides_and_skips() -> None:
    body = """p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) u = Resize<mode="nearest">(p, , s) y = Add(u, x)"""
    pair = _traced(
        HEAD.format(opset=13, shape="n,3,h,w", body=body), s=np.array([1, 1, 2, 2], dtype=np.float32)
    )
    assert pair.first.unknown == 0
    assert pair.first.shapes["y"] == pair.first.shapes["x"]


def test_float_weights_are_not_folded() -> None:
    pair = _traced(
        HEAD.format(opset=17, shape="2,4", body="b = Add(w, w) y = Add(x, b)"), w=np.ones(4, dtype=np.float32)
    )
    assert "b" not in pair.first.values
    assert pair.first.shapes["b"] == (4,)


def test_a_scale_computed_from_a_size_is_known() -> None:
    body = "s = Shape(x) d = Gather(s, last) f = Cast<to=1>(d) r = Sqrt(f) y = Div(x, r)"
    pair = _traced(HEAD.format(opset=17, shape="2,16", body=body), last=np.array(1))
    assert pair.first.values["r"] == pytest.approx(4.0)


def test_an_unknown_operator_leaves_its_results_unknown() -> None:
    graph = helper.make_graph(
        [helper.make_node("Mystery", ["x"], ["a"], domain="own"), helper.make_node("Relu", ["a"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", 1, [2, 3])],
        [helper.make_tensor_value_info("y", 1, None)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    assert isinstance(model, onnx.ModelProto)
    pair = trace_pair(load_model(model))
    assert "y" not in pair.first.shapes
    assert pair.first.unknown == 2
