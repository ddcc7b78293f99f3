"""Random inputs stay within what a model can take."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from verified_networks import Example, example, network

from onnxprune.coupling import couple
from onnxprune.execution.inputs import Undrawable, draw, inputs_of, is_symbolic
from onnxprune.model import load_model
from onnxprune.surgery import apply


def embedding(rows: int, steps: str = "i = Identity(ids)") -> onnx.ModelProto:
    graph = f"""(int64[N, T] ids) => (float y) {{
        {steps}  e = Gather(table, i)  a = MatMul(e, w1)  r = Relu(a)  y = MatMul(r, w2)
    }}"""
    return network(graph, {"table": (rows, 8), "w1": (8, 24), "w2": (24, 5)})


@pytest.mark.parametrize(
    "steps", ["i = Identity(ids)", "i = Cast<to = 6>(ids)", "s = Cast<to = 6>(ids) i = Cast<to = 7>(s)"]
)
def test_token_numbers_stay_below_the_rows_of_the_table(steps: str) -> None:
    found = example(embedding(11, steps))
    values = draw(inputs_of(found.coupling), (2, 64), seed=0)["ids"]
    assert values.shape == (2, 64)
    assert set(values.reshape(-1).tolist()) == set(range(11))
    assert found.verify().passed


def test_an_index_along_an_axis_of_dynamic_length_is_zero() -> None:
    graph = """(float[2, T, 8] x, int64[3] ids) => (float y) {
        a = MatMul(x, w1)  r = Relu(a)  e = Gather<axis = 1>(r, ids)  y = MatMul(e, w2)
    }"""
    found = example(network(graph, {"w1": (8, 24), "w2": (24, 5)}))
    assert not draw(inputs_of(found.coupling), (2, 1), seed=0)["ids"].any()
    assert found.verify().passed


def test_masks_are_drawn_from_zero_and_one_and_pixels_from_all_bytes() -> None:
    graph = """(int64[4, 200] mask, uint8[4, 200] image, bool[4, 200] flag) => (float y) {
        m = Cast<to = 1>(mask)  i = Cast<to = 1>(image)  f = Cast<to = 1>(flag)
        s = Sum(m, i, f)  a = MatMul(s, w1)  r = Relu(a)  y = MatMul(r, w2)
    }"""
    found = example(network(graph, {"w1": (200, 24), "w2": (24, 5)}))
    values = draw(inputs_of(found.coupling), (2, 64), seed=0)
    assert set(values["mask"].reshape(-1).tolist()) == {0, 1}
    assert values["image"].dtype == np.uint8
    assert values["image"].max() > 240
    assert set(values["flag"].reshape(-1).tolist()) == {True, False}
    assert found.verify().passed


def pyramid(size: int) -> onnx.ModelProto:
    """Runs on images whose 32nd part is ``size``, and on no others."""
    graph = """(float[N, 3, H, W] x) => (float y) {
        a = Conv<kernel_shape = [16, 16], strides = [16, 16]>(x, w1)  r = Relu(a)
        b = Conv<kernel_shape = [2, 2], strides = [2, 2]>(r, w2)  f = Flatten(b)  y = Gemm(f, w3)
    }"""
    return network(graph, {"w1": (12, 3, 16, 16), "w2": (6, 12, 2, 2), "w3": (6 * size * size, 5)})


@pytest.mark.parametrize("size", [2, 7])
def test_free_sizes_are_tried_until_the_source_runs(size: int) -> None:
    found = example(pyramid(size))
    assert is_symbolic(inputs_of(found.coupling))
    assert found.verify().passed


def test_a_batch_that_only_works_for_one_is_found() -> None:
    graph = """(float[N, 3, 64, 64] x) => (float y) {
        s = Squeeze(x, first)  r = Relu(s)  a = MatMul(r, w1)  y = MatMul(a, w2)
    }"""
    model = load_model(network(graph, {"first": np.array([0]), "w1": (64, 12), "w2": (12, 5)}))
    coupling = couple(model)
    assert Example(model, coupling, apply(coupling, {})).verify().passed


def test_one_name_is_one_size() -> None:
    graph = """(float[N, T, 8] x, float[N, T, 8] z) => (float y) {
        s = Add(x, z)  a = MatMul(s, w1)  r = Relu(a)  y = MatMul(r, w2)
    }"""
    found = example(network(graph, {"w1": (8, 24), "w2": (24, 5)}))
    values = draw(inputs_of(found.coupling), (2, 64), seed=0)
    assert {value.shape for value in values.values()} == {(2, 64, 8)}
    assert not np.array_equal(values["x"], values["z"])


def test_the_same_seed_draws_the_same_values() -> None:
    inputs = inputs_of(example(embedding(11)).coupling)
    one, two, other = (draw(inputs, (2, 64), seed=seed)["ids"] for seed in (0, 0, 1))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_inputs_that_cannot_be_drawn_leave_the_model_unchecked() -> None:
    found = example(embedding(11))
    proto = onnx.ModelProto()
    proto.CopyFrom(found.source.proto)
    proto.graph.input.append(helper.make_tensor_value_info("text", TensorProto.STRING, [1]))
    coupling = couple(load_model(_with_constants(proto, found)))
    with pytest.raises(Undrawable, match="'text'"):
        inputs_of(coupling)
    verdict = Example(coupling.model, coupling, apply(coupling, {})).verify()
    assert not verdict.checked
    assert not verdict.passed
    assert "'text'" in verdict.reason


def _with_constants(proto: onnx.ModelProto, found: Example) -> onnx.ModelProto:
    whole = found.source.to_proto()
    del whole.graph.input[:]
    whole.graph.input.extend(proto.graph.input)
    return whole


def test_outputs_without_a_finite_value_leave_the_model_unchecked() -> None:
    graph = """(float[4, 8] x) => (float y) {
        a = Gemm(x, w1)  r = Relu(a)  c = Gemm(r, w2)  z = Sub(c, c)  y = Div(z, z)
    }"""
    verdict = example(network(graph, {"w1": (8, 24), "w2": (24, 5)})).verify()
    assert not verdict.checked
    assert "finite" in verdict.reason
