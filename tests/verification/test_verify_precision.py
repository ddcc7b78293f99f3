"""How exactly two runs must agree, by the precision of the model; and the forms in which weights go in."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from pruning import choose
from verified_networks import Example, constant, convolutions, example, layer_norm, network, store

from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.surgery import apply
from onnxprune.verification import masking
from onnxprune.verification.compare import compare


def narrow(proto: onnx.ModelProto, dtype: object) -> onnx.ModelProto:
    """The model with all its floats in another element type."""
    data_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.elem_type = data_type
    return proto


def scaled(proto: onnx.ModelProto, factor: float) -> None:
    values = constant(proto, "w2")
    store(proto, "w2", (values.astype(np.float32) * factor).astype(values.dtype))


@pytest.mark.parametrize("make", [convolutions, layer_norm])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_sixteen_bits(make: object, dtype: object) -> None:
    proto = narrow(make(), dtype)
    if dtype is ml_dtypes.bfloat16:
        proto.opset_import[0].version = 22  # the first that knows convolutions of it
        proto.ir_version = 10
    right = example(proto)
    found = right.verify()
    assert found.passed, found.reason
    assert found.tolerance == (1e-2 if dtype is np.float16 else 1e-4)  # bfloat16 runs in float32
    assert not right.edited(lambda proto: scaled(proto, 1.1)).verify().passed


def test_casts_to_sixteen_bits_count() -> None:
    graph = """(float[4, 8] x) => (float y) {
        a = Gemm(x, w1)  h = Cast<to = 10>(a)  r = Relu(h)  f = Cast<to = 1>(r)  y = Gemm(f, w2)
    }"""
    found = example(network(graph, {"w1": (8, 24), "w2": (24, 5)})).verify()
    assert found.passed
    assert found.tolerance == 1e-2


def test_quantised_activations() -> None:
    graph = """(float[4, 8] x) => (float y) {
        a = Gemm(x, w1)  q = QuantizeLinear(a, step, zero)  d = DequantizeLinear(q, step, zero)
        r = Relu(d)  y = Gemm(r, w2)
    }"""
    constants = {"w1": (8, 24), "w2": (24, 5), "step": np.float32(0.05), "zero": np.uint8(128)}
    right = example(network(graph, constants))
    found = right.verify()
    assert found.passed
    assert found.tolerance == 2e-2
    assert not right.edited(lambda proto: scaled(proto, 1.1)).verify().passed


def test_a_given_tolerance_holds() -> None:
    right = example(convolutions())
    off = right.edited(lambda proto: scaled(proto, 1.01))
    assert not off.verify().passed
    assert off.verify(tolerance=0.1).passed
    assert not right.verify(tolerance=1e-12).passed


def test_rounding_that_the_source_amplifies_is_allowed() -> None:
    """The far end of a sigmoid comes in steps of 3e-8, which are large against 1e-6."""
    graph = """(float[64, 64] x) => (float y) {
        a = Gemm(x, w1)  r = Relu(a)  c = Gemm(r, w2)  l = Sub(c, far)  y = Sigmoid(l)
    }"""
    right = example(network(graph, {"w1": (64, 96), "w2": (96, 512), "far": np.float32(11)}))
    found = right.edited(lambda proto: scaled(proto, 1 + 3e-7)).verify()
    assert found.passed, found.reason
    assert found.max_relative_error > 1e-4
    assert found.max_relative_error <= found.tolerance <= 1e-2
    assert not right.edited(lambda proto: scaled(proto, 1.1)).verify().passed


def test_weights_of_a_mapped_file_are_masked_inside_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done with large models, by calling every model large."""
    path = tmp_path / "model.onnx"
    onnx.save(convolutions(), path, save_as_external_data=True, location="weights", size_threshold=0)
    monkeypatch.setattr(masking, "COPIED_BYTES", 0)
    source = load_model(path)
    coupling = couple(source)
    right = Example(source, coupling, apply(coupling, choose(coupling.structure, 0.4, 0)))
    program = masking.masked_program(coupling, right.cut.cuts, right.cut.survivors)
    assert "w2/source" in program.weights
    assert right.verify().passed
    assert not right.edited(lambda proto: scaled(proto, 1.01)).verify().passed
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "weights"]


def test_constants_held_by_nodes() -> None:
    proto = convolutions()
    moved = [t for t in proto.graph.initializer if t.name in ("w1", "b1", "w2", "scale")]
    for tensor in moved:
        proto.graph.node.insert(0, helper.make_node("Constant", [], [tensor.name], value=tensor))
        proto.graph.initializer.remove(tensor)
    assert example(proto).verify().passed


def test_the_error_is_relative_to_the_largest_magnitude() -> None:
    wanted = np.array([1.0, -4.0, 0.0])
    assert compare({"y": wanted}, {"y": wanted + np.array([0, 0, 0.4])}).error == pytest.approx(0.1)
    assert compare({"y": wanted}, {"y": wanted}).error == 0
    assert compare({"y": np.zeros(3)}, {"y": np.zeros(3)}).error == 0
    assert compare({"y": np.zeros(3)}, {"y": np.ones(3)}).error > 1


def test_the_worst_output_is_named() -> None:
    wanted = {"a": np.ones(3), "b": np.ones(3), "c": np.ones(3)}
    found = compare(wanted, {**wanted, "b": np.ones(3) * 1.5})
    assert found.output == "b"
    assert found.error == pytest.approx(0.5)


def test_infinite_values_must_stand_at_the_same_places() -> None:
    wanted = np.array([1.0, np.inf, np.nan])
    assert compare({"y": wanted}, {"y": wanted.copy()}).error == 0
    assert compare({"y": wanted}, {"y": np.array([1.0, 2.0, np.nan])}).error == np.inf
    assert not compare({"y": wanted[1:]}, {"y": wanted[1:]}).informative


def test_of_integers_the_share_that_differs_counts() -> None:
    classes = np.arange(1000)
    flipped = classes.copy()
    flipped[0] = 999
    assert compare({"y": classes}, {"y": flipped}).error == pytest.approx(1e-3)
    assert compare({"y": np.array([3])}, {"y": np.array([970])}).error == 1


def test_sequences_and_maps_are_compared_part_by_part() -> None:
    wanted = [np.ones(2), {"cat": 0.25, "dog": 0.75}]
    assert compare({"y": wanted}, {"y": [np.ones(2), {"cat": 0.25, "dog": 0.75}]}).error == 0
    assert compare({"y": wanted}, {"y": [np.ones(2), {"cat": 0.5, "dog": 0.5}]}).error > 0.1
    assert compare({"y": wanted}, {"y": [np.ones(2)]}).error == np.inf
