"""Factors and summands a channel go into the layer before them, and nothing else changes."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

from onnxprune.frontends.affine import fold_affine

RNG = np.random.default_rng(0)


def model(graph: str, **tensors: tuple[int, ...]) -> onnx.ModelProto:
    """A model with random constants of the given shapes."""
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]> {graph}')
    for name, shape in tensors.items():
        values = RNG.uniform(0.5, 1.5, shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, name))
    onnx.checker.check_model(proto)
    return proto


def run(proto: onnx.ModelProto) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    rng = np.random.default_rng(1)
    feeds = {
        i.name: rng.standard_normal([2 if isinstance(n, str) else n for n in i.shape])
        for i in session.get_inputs()
    }
    return session.run(None, {name: value.astype(np.float32) for name, value in feeds.items()})


def folded(proto: onnx.ModelProto) -> list[str]:
    """The operators that are left, once the outputs were seen to stay."""
    before = run(proto)
    fold_affine(proto)
    onnx.checker.check_model(proto, full_check=True)
    for old, new in zip(before, run(proto), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-4, atol=1e-5)
    read = {name for node in proto.graph.node for name in node.input}
    assert {tensor.name for tensor in proto.graph.initializer} <= read
    return [node.op_type for node in proto.graph.node]


MAP = "g (float[batch, 3, 8, 8] x) => (float[batch, n, h, w] y)"
FOLDED = {
    "tf2onnx": (
        MAP + "{ a = Conv (x, W, B) b = Mul (a, S) c = Add (b, T) y = Relu (c) }",
        {"W": (4, 3, 3, 3), "B": (4,), "S": (1, 4, 1, 1), "T": (1, 4, 1, 1)},
        ["Conv", "Relu"],
    ),
    "without a bias": (
        MAP + "{ a = Conv (x, W) b = Mul (S, a) y = Relu (b) }",
        {"W": (4, 3, 3, 3), "S": (4, 1, 1)},
        ["Conv", "Relu"],
    ),
    "depthwise": (
        MAP + "{ a = Conv <group = 3> (x, W) b = Add (a, T) y = Relu (b) }",
        {"W": (6, 1, 3, 3), "T": (1, 6, 1, 1)},
        ["Conv", "Relu"],
    ),
    "Keras on torch": (
        MAP
        + """{ a = Conv (x, W) b = Transpose <perm = [0, 2, 3, 1]> (a) c = Add (b, B) d = Sub (c, M) e = Mul (d, S)
        f = Add (e, T) g = Transpose <perm = [0, 3, 1, 2]> (f) y = Relu (g) }""",
        {"W": (4, 3, 3, 3), "B": (1, 1, 1, 4), "M": (1, 1, 1, 4), "S": (4,), "T": (1, 1, 4)},
        ["Conv", "Transpose", "Transpose", "Relu"],
    ),
    "a channel from a number": (
        MAP + "{ a = Conv (x, W) b = Sub (T, a) c = Div (b, S) y = Relu (c) }",
        {"W": (4, 3, 3, 3), "T": (1, 4, 1, 1), "S": ()},
        ["Conv", "Relu"],
    ),
    "one dimension": (
        """g (float[batch, 3, 1, 8] x) => (float[batch, n, w] y) <int64[1] axes = {2}>
        { a = Conv (x, W) b = Squeeze (a, axes) c = Mul (b, S) d = Add (c, T) y = Relu (d) }""",
        {"W": (4, 3, 1, 3), "S": (1, 4, 1), "T": (1, 4, 1)},
        ["Conv", "Squeeze", "Relu"],
    ),
    "transposed": (
        MAP + "{ a = ConvTranspose (x, W) b = Mul (a, S) y = Relu (b) }",
        {"W": (3, 4, 2, 2), "S": (1, 4, 1, 1)},
        ["ConvTranspose", "Relu"],
    ),
    "dense": (
        "g (float[batch, 5] x) => (float[batch, n] y) { a = MatMul (x, W) b = Add (a, B) c = Mul (b, S) d = Add (T, c) y = Relu (d) }",
        {"W": (5, 4), "B": (4,), "S": (1, 4), "T": (4,)},
        ["MatMul", "Add", "Relu"],
    ),
}


@pytest.mark.parametrize("name", FOLDED)
def test_a_chain_becomes_part_of_the_layer(name: str):
    graph, tensors, left = FOLDED[name]
    assert folded(model(graph, **tensors)) == left


WHOLE = {
    "its own bias": (
        "g (float[batch, 5] x) => (float[batch, n] y) { a = MatMul (x, W) b = Add (a, B) y = Relu (b) }",
        {"W": (5, 4), "B": (4,)},
    ),
    "a second reader": (
        MAP + "{ a = Conv (x, W) b = Mul (a, S) y = Add (a, b) }",
        {"W": (4, 3, 3, 3), "S": (1, 4, 1, 1)},
    ),
    "the same value twice": (MAP + "{ a = Conv (x, W) y = Mul (a, a) }", {"W": (4, 3, 3, 3)}),
    "a number for each place": (
        MAP + "{ a = Conv (x, W) b = Mul (a, S) y = Relu (b) }",
        {"W": (4, 3, 3, 3), "S": (1, 4, 6, 6)},
    ),
    "a number for each column": (
        MAP + "{ a = Conv (x, W) b = Mul (a, S) y = Relu (b) }",
        {"W": (6, 3, 3, 3), "S": (6,)},
    ),
    "one over a channel": (
        MAP + "{ a = Conv (x, W) b = Div (S, a) y = Relu (b) }",
        {"W": (4, 3, 3, 3), "S": (1, 4, 1, 1)},
    ),
    "groups of a transposed layer": (
        "g (float[batch, 4, 8, 8] x) => (float[batch, n, h, w] y) "
        "{ a = ConvTranspose <group = 2> (x, W) b = Mul (a, S) y = Relu (b) }",
        {"W": (4, 2, 2, 2), "S": (1, 4, 1, 1)},
    ),
    "a shared weight": (
        MAP + "{ a = Conv (x, W) b = Mul (a, S) c = Conv (x, W) y = Add (b, c) }",
        {"W": (4, 3, 3, 3), "S": (1, 4, 1, 1)},
    ),
    "an output": (
        "g (float[batch, 3, 8, 8] x) => (float[batch, n, h, w] a, float[batch, n, h, w] y) "
        "{ a = Conv (x, W) y = Mul (a, S) }",
        {"W": (4, 3, 3, 3), "S": (1, 4, 1, 1)},
    ),
    "another factor in between": (
        MAP + "{ a = Conv (x, W) b = Relu (a) y = Mul (b, S) }",
        {"W": (4, 3, 3, 3), "S": (1, 4, 1, 1)},
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_no_chain_stays(name: str):
    graph, tensors = WHOLE[name]
    proto = model(graph, **tensors)
    before = proto.SerializeToString()
    folded(proto)
    assert proto.SerializeToString() == before


def test_a_chain_ends_where_an_output_is():
    graph = MAP + "{ a = Conv (x, W) b = Mul (a, S) y = Add (b, T) }"
    proto = model(graph, W=(4, 3, 3, 3), S=(1, 4, 1, 1), T=(1, 4, 1, 1))
    assert folded(proto) == ["Conv", "Add"]


def test_constants_that_others_read_stay():
    graph = MAP + "{ a = Conv (x, W, S) b = Mul (a, T) c = Relu (b) d = Mul (c, T) y = Add (d, U) }"
    proto = model(graph, W=(4, 3, 3, 3), S=(4,), T=(1, 4, 1, 1), U=(1, 4, 1, 1))
    kept = next(t for t in proto.graph.initializer if t.name == "T").SerializeToString()
    assert folded(proto) == ["Conv", "Relu", "Mul", "Add"]
    assert next(t for t in proto.graph.initializer if t.name == "T").SerializeToString() == kept


def test_half_precision_is_left_alone():
    graph = MAP.replace("float[", "float16[") + "{ a = Conv (x, W) y = Mul (a, S) }"
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 13]> {graph}')
    for name, shape in {"W": (4, 3, 3, 3), "S": (1, 4, 1, 1)}.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.ones(shape, np.float16), name))
    fold_affine(proto)
    assert [node.op_type for node in proto.graph.node] == ["Conv", "Mul"]
