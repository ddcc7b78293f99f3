"""Numbers that are computed from sizes keep their values when the sizes are cut."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from oracle import check

from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.surgery import apply

CONSTANTS = {
    "zero": np.array(0),
    "last": np.array(-1),
    "two": np.array(2),
    "axis": np.array([0]),
    "three": np.array([3]),
    "rest": np.array([-1]),
}

SIZES = """h = MatMul(x, w) k = MatMul(h, u) s = Shape(h) b = Gather(s, zero) c = Gather(s, last)
    q = Div(c, two) batch = Unsqueeze(b, axis) half = Unsqueeze(q, axis) flat = Concat<axis=0>(batch, rest)"""
"""A hidden layer ``h`` of 8 channels, another tensor ``k``, and numbers that are computed from the size of h."""

AS_HEADS = "t = Concat<axis=0>(rest, three, half) r = Reshape(k, t) y = ReduceMax<axes=[1], keepdims=0>(r)"
FOLDED = """n = Mul(b, c) f = Unsqueeze(n, axis) t = Concat<axis=0>(f, half, three) r = Reshape(k, t)
    a = Softmax<axis=0>(r) d = Softmax<axis=1>(a) p = Softmax(d) z = Reshape(p, flat) y = MatMul(z, v)"""
CUT_BESIDE = "t = Concat<axis=0>(batch, half, three) r = Reshape(k, t) z = Reshape(r, flat) y = MatMul(z, v)"


def _model(body: str, k: int, v: int) -> onnx.ModelProto:
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,5] x) => (float[n,4] y)'
    model = parser.parse_model(f"{head} {{ {SIZES} {body} }}")
    rng = np.random.default_rng(0)
    shapes = {"w": (5, 8), "u": (8, k), "v": (v, 4)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    tensors = [numpy_helper.from_array(value, name) for name, value in {**weights, **CONSTANTS}.items()]
    model.graph.initializer.extend(tensors)
    return model


@pytest.mark.parametrize(
    ("body", "k", "v", "cut"),
    [
        pytest.param(AS_HEADS, 12, 1, {"w"}, id="a width, as windowed attention splits its heads"),
        pytest.param(FOLDED, 96, 96, {"w"}, id="a width times the dynamic batch"),
        pytest.param(CUT_BESIDE, 12, 12, {"w", "u"}, id="a width beside an axis that is cut"),
    ],
)
def test_a_reshape_keeps_what_was_computed_from_another_tensor(
    body: str, k: int, v: int, cut: set[str]
) -> None:
    model = _model(body, k, v)
    coupling = couple(load_model(model))
    free = [group for group in coupling.structure.groups if not group.held]
    made = apply(coupling, {group.name: np.arange(0, group.size, 2) for group in free})
    assert {name for name, axes in made.cuts.items() if "1" in axes} == cut
    for batch in (1, 3):
        x = np.random.default_rng(batch).standard_normal((batch, 5)).astype(np.float32)
        check(model, made.model.to_proto(), made.cuts, feed={"x": x})


@pytest.mark.parametrize("measured", ["w", "bias"])
def test_the_size_of_weights_that_are_cut(measured: str) -> None:
    """Asked of a matrix, whose readers share its axes, or of a vector, whose readers each have their own."""
    body = f"""c = Shape({measured}) n = Gather(c, last) t = Unsqueeze(n, axis) shape = Concat<axis=0>(t, rest)
        m = MatMul(x, w) h = Add(m, bias) k = MatMul(h, u) r = Reshape(k, shape) y = ReduceMax<axes=[1]>(r)"""
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,5] x) => (float[a,b] y)'
    model = parser.parse_model(f"{head} {{ {body} }}")
    rng = np.random.default_rng(0)
    shapes = {"w": (5, 8), "bias": (8,), "u": (8, 16)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    tensors = [numpy_helper.from_array(value, name) for name, value in {**weights, **CONSTANTS}.items()]
    model.graph.initializer.extend(tensors)
    coupling = couple(load_model(model))
    group = next(own for own in coupling.structure.groups if own.size == 8)
    cut = apply(coupling, {group.name: np.arange(5)})
    assert cut.cuts["w"]["1"]["kept"] == list(range(5))
    check(model, cut.model.to_proto(), cut.cuts)
