"""Surgery: what is mended beside the weights, and what stays as it was."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper, parser

from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.surgery import apply, flush_denormals

RNG = np.random.default_rng(0)


def _weights(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    return {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def _model(
    body: str,
    constants: dict[str, np.ndarray],
    *,
    head: str = "float[n,3,6,6] x",
    ir: int = 8,
    opset: int = 17,
):
    text = f'<ir_version: {ir}, opset_import: ["" : {opset}]> g ({head}) => (float[n,m] y) {{ {body} }}'
    model = parser.parse_model(text)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    if ir < 4:
        model.graph.input.extend(
            helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in model.graph.initializer
        )
    return model


def _halved(model: onnx.ModelProto):
    coupling = couple(load_model(model))
    free = [g for g in coupling.structure.groups if not g.held]
    cut = apply(coupling, {g.name: np.arange(0, g.size, 2) for g in free})
    return cut, cut.model.to_proto()


def _run(model: onnx.ModelProto, **feed: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


def test_the_source_is_not_touched() -> None:
    model = _model(
        "a = Conv(x, w) b = GlobalAveragePool(a) f = Flatten(b) y = MatMul(f, v)",
        _weights(w=(8, 3, 3, 3), v=(8, 4)),
    )
    before = model.SerializeToString(deterministic=True)
    _, pruned = _halved(model)
    assert model.SerializeToString(deterministic=True) == before
    assert pruned.SerializeToString(deterministic=True) != before


def test_metadata_names_and_doc_strings_stay() -> None:
    model = _model(
        "a = Conv(x, w) b = GlobalAveragePool(a) f = Flatten(b) y = MatMul(f, v)",
        _weights(w=(8, 3, 3, 3), v=(8, 4)),
    )
    model.doc_string, model.producer_name, model.domain, model.model_version = (
        "about",
        "somebody",
        "org.example",
        7,
    )
    model.metadata_props.add(key="classes", value="cat,dog")
    model.graph.doc_string = "the graph"
    model.graph.node[0].doc_string = "a node"
    model.graph.node[0].metadata_props.add(key="scope", value="stem")
    _, pruned = _halved(model)
    for name in ("doc_string", "producer_name", "domain", "model_version", "ir_version"):
        assert getattr(pruned, name) == getattr(model, name)
    assert list(pruned.metadata_props) == list(model.metadata_props)
    assert list(pruned.opset_import) == list(model.opset_import)
    assert list(pruned.graph.node) == list(model.graph.node)
    assert list(pruned.graph.input) == list(model.graph.input)
    assert list(pruned.graph.output) == list(model.graph.output)
    assert pruned.graph.doc_string == "the graph"


def test_declared_shapes_follow_the_cut() -> None:
    model = _model(
        "a = Conv(x, w) b = GlobalAveragePool(a) f = Flatten(b) y = MatMul(f, v)",
        _weights(w=(8, 3, 3, 3), v=(8, 4)),
    )
    model.graph.value_info.append(helper.make_tensor_value_info("a", 1, ["n", 8, 4, 4]))
    _, pruned = _halved(model)
    onnx.checker.check_model(pruned, full_check=True)
    assert [d.dim_value for d in pruned.graph.value_info[0].type.tensor_type.shape.dim] == [0, 4, 4, 4]


def test_an_initializer_that_is_an_input_keeps_both_places() -> None:
    model = _model(
        "a = Conv(x, w) s = Reshape(a, t) y = MatMul(s, v)",
        {**_weights(w=(8, 3, 6, 6), v=(8, 4)), "t": np.array([-1, 8])},
        ir=3,
        opset=11,
    )
    _, pruned = _halved(model)
    onnx.checker.check_model(pruned, full_check=True)
    dims = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in pruned.graph.input}
    assert dims["w"] == [4, 3, 6, 6]
    assert set(dims) == {v.name for v in model.graph.input}  # also "t", which nobody reads any more


def test_a_scale_that_is_computed_from_a_cut_size_keeps_its_value() -> None:
    body = """q = MatMul(x, wq) k = MatMul(x, wk) kt = Transpose<perm=[0,2,1]>(k) s = MatMul(q, kt)
    d = Shape(q) e = Gather(d, last) f = Cast<to=1>(e) r = Sqrt(f) z = Div(s, r) p = Softmax(z) o = MatMul(p, x)
    m = ReduceMean<axes=[1], keepdims=0>(o) y = MatMul(m, wo)"""
    constants = {**_weights(wq=(6, 16), wk=(6, 16), wo=(6, 4)), "last": np.array(2)}
    model = _model(body, constants, head="float[n,5,6] x")
    cut, pruned = _halved(model)
    assert cut.cuts["wq"]["1"]["size"] == 16
    x = RNG.standard_normal((2, 5, 6)).astype(np.float32)
    masked = {k: v.copy() for k, v in constants.items()}
    for name in ("wq", "wk"):
        masked[name][:, 1::2] = 0
    wanted = _run(_model(body, masked, head="float[n,5,6] x"), x=x)
    np.testing.assert_allclose(_run(pruned, x=x), wanted, rtol=1e-4, atol=1e-6)


def test_a_computed_reshape_stays_computed_where_the_batch_is_dynamic() -> None:
    body = """a = Conv(x, w) d = Shape(a) b = Gather(d, zero) u = Unsqueeze(b, axis) t = Concat<axis=0>(u, c)
    g = GlobalAveragePool(a) s = Reshape(g, t) y = MatMul(s, v)"""
    constants = {
        **_weights(w=(8, 3, 3, 3), v=(8, 4)),
        "zero": np.array(0),
        "axis": np.array([0]),
        "c": np.array([8]),
    }
    _, pruned = _halved(_model(body, constants))
    onnx.checker.check_model(pruned, full_check=True)
    for batch in (1, 3):
        assert _run(pruned, x=np.zeros((batch, 3, 6, 6), dtype=np.float32)).shape == (batch, 4)


def test_a_vector_that_two_layers_share_gets_a_copy_for_each_cut() -> None:
    body = """a = Conv(x, w1, b) p = GlobalAveragePool(a) f = Flatten(p)
    c = Conv(x, w2, b) q = GlobalMaxPool(c) h = Flatten(q) j = MatMul(f, v) k = MatMul(h, u) y = Add(j, k)"""
    constants = {
        **_weights(w1=(8, 3, 3, 3), w2=(8, 3, 3, 3), v=(8, 4), u=(8, 4)),
        "b": np.arange(8, dtype=np.float32),
    }
    coupling = couple(load_model(_model(body, constants)))
    one, two = (g.name for g in coupling.structure.groups)
    cut = apply(coupling, {one: np.array([0, 1, 2, 3]), two: np.array([2, 3, 4, 5, 6])})
    pruned = cut.model.to_proto()
    onnx.checker.check_model(pruned, full_check=True)
    held = {t.name: numpy_helper.to_array(t) for t in pruned.graph.initializer}
    biases = [held[n.input[2]].tolist() for n in pruned.graph.node if n.op_type == "Conv"]
    assert biases == [[0, 1, 2, 3], [2, 3, 4, 5, 6]]
    assert cut.cuts["b"]["0"]["kept"] == [0, 1, 2, 3, 4, 5, 6]
    assert "b" not in held
    assert any("'b'" in warning for warning in cut.warnings)


def test_a_weight_that_two_layers_share_stays_one() -> None:
    body = """a = Conv(x, w) r = Relu(a) b = Conv<pads=[1,1,1,1]>(r, s) c = Conv<pads=[1,1,1,1]>(b, s)
    p = GlobalAveragePool(c) f = Flatten(p) y = MatMul(f, v)"""
    _, pruned = _halved(_model(body, _weights(w=(8, 3, 3, 3), s=(8, 8, 3, 3), v=(8, 4))))
    shapes = {t.name: tuple(t.dims) for t in pruned.graph.initializer}
    assert shapes == {"w": (4, 3, 3, 3), "s": (4, 4, 3, 3), "v": (4, 4)}


@pytest.mark.parametrize(("dtype", "tiny"), [(np.float32, 1e-39), (np.float64, 1e-310)])
def test_denormals_become_zero_and_nothing_else_changes(dtype: type, tiny: float) -> None:
    values = np.array([1.0, tiny, -tiny, 0.0, 1e-30], dtype=dtype)
    model = _model("f = Flatten(x) y = MatMul(f, w)", {"w": values.reshape(1, 5).repeat(108, 0)})
    flushed, names = flush_denormals(load_model(model))
    assert names == ["w"]
    np.testing.assert_array_equal(
        flushed.constants["w"].values()[0], np.array([1.0, 0, 0, 0, 1e-30], dtype=dtype)
    )


def test_without_denormals_the_model_is_the_same_object() -> None:
    model = load_model(_model("f = Flatten(x) y = MatMul(f, w)", _weights(w=(108, 4))))
    flushed, names = flush_denormals(model)
    assert flushed is model
    assert names == []
