"""The oracle itself: right prunings pass, wrong ones do not. Nothing of onnxprune is involved."""

from __future__ import annotations

import numpy as np
import onnx
import oracle
import pytest
from masking import constants
from onnx import numpy_helper
from operator_case import build, case

KEPT = [0, 2, 3, 7, 8, 10, 11]
CUT = {"size": 12, "kept": KEPT}


def _take(model: onnx.ModelProto, cuts: dict) -> onnx.ModelProto:
    """The model with its constants cut and nothing else done."""
    small = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in small.graph.initializer:
        value = numpy_helper.to_array(tensor)
        for axis, cut in cuts.get(tensor.name, {}).items():
            value = np.take(value, cut["kept"], int(axis))
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, order="C"), tensor.name))
    return small


def _cuts(**axes: int) -> dict:
    named = {"weight": "x.weight", "bias": "x.bias", "head": "y.head"}
    return {named.get(name, name): {str(axis): CUT} for name, axis in axes.items()}


def test_a_right_cut_passes() -> None:
    model, cuts = build(case("a", "y = Sigmoid(x)")[0]), _cuts(weight=0, bias=0, head=1)
    assert oracle.check(model, _take(model, cuts), cuts, expect_cut=True) < 1e-5


def test_wrong_values_fail() -> None:
    model, cuts = build(case("a", "y = Sigmoid(x)")[0]), _cuts(weight=0, bias=0, head=1)
    small = _take(model, {**cuts, "y.head": {"1": {"size": 12, "kept": [0, 2, 3, 7, 8, 9, 11]}}})
    with pytest.raises(AssertionError, match=r"y.head: not the kept slices"):
        oracle.check(model, small, cuts)


def test_a_wrong_computation_fails() -> None:
    model, cuts = build(case("a", "y = Sigmoid(x)")[0]), _cuts(weight=0, bias=0, head=1)
    small = _take(model, cuts)
    small.graph.node[1].op_type = "Tanh"
    with pytest.raises(AssertionError, match="relative error"):
        oracle.check(model, small, cuts)


def test_a_cut_where_none_is_expected_fails() -> None:
    model, cuts = build(case("a", "y = Relu(x)")[0]), _cuts(weight=0, bias=0, head=1)
    with pytest.raises(AssertionError, match="cut"):
        oracle.check(model, _take(model, cuts), cuts, expect_cut=False)


def test_a_changed_output_fails() -> None:
    model = build(case("a", "y = Relu(x)")[0])
    small = onnx.ModelProto.FromString(model.SerializeToString())
    small.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "N"
    with pytest.raises(AssertionError, match="outputs"):
        oracle.check(model, small, {})


def test_a_division_is_masked_by_one() -> None:
    model = build(case("a", "y = Div(x, c)", c=np.linspace(1, 2, 12, dtype=np.float32).reshape(12, 1, 1))[0])
    cuts = _cuts(weight=0, bias=0, head=1, c=0)
    assert oracle.check(model, _take(model, cuts), cuts) < 1e-5


@pytest.mark.parametrize(
    "body", ["y = LayerNormalization(x, s, b)", "m = ReduceMean<axes=[-1]>(x) y = Sub(x, m)"]
)
def test_a_statistic_is_taken_over_what_is_kept(body: str) -> None:
    model = build(case("a", body, x="tokens", opset=17, s=(12,), b=(12,))[0])
    cuts = {
        "x.weight": {"1": CUT},
        "x.bias": {"0": CUT},
        "y.head": {"0": CUT},
        "s": {"0": CUT},
        "b": {"0": CUT},
    }
    assert oracle.check(model, _take(model, cuts), cuts) < 1e-5


@pytest.mark.parametrize("x", ["tokens", "conv"])
def test_a_statistic_over_other_channels_fails(x: str) -> None:
    """The pruned model normalises channels that are not those of the masked source."""
    body = "m = ReduceMean<axes=[-1]>(x) y = Sub(x, m)"
    if x == "conv":
        body = "m = ReduceMean<axes=[1]>(x) y = Sub(x, m)"
    model, axis = build(case("a", body, x=x)[0]), 0 if x == "conv" else 1
    cuts = {"x.weight": {str(axis): CUT}, "x.bias": {"0": CUT}, "y.head": {str(1 - axis): CUT}}
    small = _take(model, cuts)
    other = dict(cuts, **{"x.weight": {str(axis): {"size": 12, "kept": [1, 2, 4, 5, 6, 9, 11]}}})
    with pytest.raises(AssertionError):
        oracle.check(model, small, other)


def test_kept_positions_of_groups_with_their_own_channels() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 8))
    kept = [[0, 1, 5], [2, 3, 4], [5, 6, 7]]
    y = np.stack([x[:, g, kept[g]] for g in range(3)], axis=1)
    mask = oracle.kept_positions(x, y, (2,))
    assert [np.flatnonzero(mask[0, g]).tolist() for g in range(3)] == kept


def test_kept_positions_of_fewer_heads_with_fewer_channels() -> None:
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6))
    y = x[:, [0, 3]][..., [1, 2, 5]]
    mask = oracle.kept_positions(x, y, (3,))
    assert np.flatnonzero(mask[0, 3, 0]).tolist() == [1, 2, 5]
    assert mask[:, 1].all()
    assert oracle.kept_positions(x, y + 1, (3,)) is None


def test_quantised_weights_are_masked_by_their_zero_point() -> None:
    weight = np.random.default_rng(0).integers(0, 255, (5, 12, 1, 1)).astype(np.uint8)
    body = "w = DequantizeLinear(q, s, p) a = Sigmoid(x) y = Conv(a, w)"
    model = build(case("a", body, q=weight, s=np.float32(0.01), p=np.uint8(9))[0])
    cuts = {"x.weight": {"0": CUT}, "x.bias": {"0": CUT}, "q": {"1": CUT}}
    assert oracle.check(model, _take(model, cuts), cuts) < 1e-5
    assert constants(model)["q"].shape == (5, 12, 1, 1)
