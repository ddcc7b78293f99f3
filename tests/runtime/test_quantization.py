import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_networks import network

from onnxprune.calibration import ArraySamples
from onnxprune.errors import UsageError
from onnxprune.model import load_model
from onnxprune.runtime.quantization import KINDS, RANGES, Quantization, quantize_model
from onnxprune.runtime.sessions import Session

RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((20, 3, 8, 8)).astype(np.float32)
SAMPLES = ArraySamples({"image": IMAGES})


def matrices(batch="n"):
    """Two matrix products, enough for dynamic quantisation to bother."""
    weights = [
        numpy_helper.from_array(RNG.standard_normal(s).astype(np.float32), n)
        for n, s in (("first", (64, 128)), ("second", (128, 10)))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "second"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 64])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 10])
    graph = helper.make_graph(nodes, "products", [x], [y], weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def outputs(model, feed):
    return Session(model.to_proto().SerializeToString()).run(feed)[0]


def distance(model, copy, feed):
    """Relative distance of the outputs."""
    before, after = outputs(model, feed), outputs(copy, feed)
    return np.abs(before - after).max() / np.abs(before).max()


@pytest.mark.parametrize("ranges", RANGES)
def test_static_int8_stays_near_the_source(ranges):
    model = load_model(network())
    copy = quantize_model(model, Quantization("int8", ranges, SAMPLES))
    assert copy.nbytes < model.nbytes / 2
    assert distance(model, copy, {"image": IMAGES[:4]}) < 0.1
    assert {node.op_type for node in copy.proto.graph.node} >= {"QuantizeLinear", "DequantizeLinear", "Conv"}


def test_activations_are_unsigned_and_weights_signed_by_channel():
    copy = quantize_model(load_model(network()), Quantization("int8", "minmax", SAMPLES)).to_proto()
    types = {tensor.name: tensor.data_type for tensor in copy.graph.initializer}
    shapes = {tensor.name: tuple(tensor.dims) for tensor in copy.graph.initializer}
    zero_points = [types[node.input[2]] for node in copy.graph.node if node.op_type == "QuantizeLinear"]
    assert set(zero_points) == {TensorProto.UINT8}
    weights = [
        n
        for n in copy.graph.node
        if n.op_type == "DequantizeLinear" and types.get(n.input[0]) == TensorProto.INT8
    ]
    assert {shapes[node.input[1]] for node in weights} >= {(32,), (64,)}


def test_the_form_of_the_model_stays():
    source = network()
    source.metadata_props.add(key="licence", value="free")
    copy = quantize_model(load_model(source), Quantization("int8", "minmax", SAMPLES)).proto
    assert [value.name for value in copy.graph.input] == ["image"]
    assert [value.name for value in copy.graph.output] == ["logits"]
    assert {entry.key: entry.value for entry in copy.metadata_props} == {"licence": "free"}
    assert {entry.domain for entry in copy.opset_import} <= {"", "ai.onnx"}
    assert copy.producer_name == "test"


def test_equal_samples_give_equal_bytes():
    model = load_model(network())
    first, second = (quantize_model(model, Quantization("int8", "minmax", SAMPLES)) for _ in range(2))
    assert first.to_proto().SerializeToString() == second.to_proto().SerializeToString()


def test_a_fixed_batch_is_kept_to():
    source = network()
    source.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    source.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 3
    model = load_model(source)
    copy = quantize_model(model, Quantization("int8", "minmax", SAMPLES))
    assert distance(model, copy, {"image": IMAGES[:3]}) < 0.1


def test_an_old_operator_set_is_raised():
    source = network()
    source.opset_import[0].version = 11
    copy = quantize_model(load_model(source), Quantization("int8", "minmax", SAMPLES))
    assert copy.proto.opset_import[0].version == 13


def test_matrix_products_need_no_samples():
    model = load_model(matrices())
    copy = quantize_model(model, Quantization("int8"))
    assert "MatMulInteger" in {node.op_type for node in copy.proto.graph.node}
    assert distance(model, copy, {"x": RNG.standard_normal((5, 64)).astype(np.float32)}) < 0.05


@pytest.mark.parametrize("source", [network(), matrices()], ids=["convolutions", "products"])
def test_fp16_halves_the_file_and_keeps_its_ends(source):
    model = load_model(source)
    copy = quantize_model(model, Quantization("fp16"))
    assert copy.nbytes < 0.6 * model.nbytes
    assert {v.type.tensor_type.elem_type for v in (*copy.proto.graph.input, *copy.proto.graph.output)} == {1}
    onnx.checker.check_model(copy.to_proto())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Quantization("int4"), "int4"),
        (Quantization("int8", "widest", SAMPLES), "widest"),
        (Quantization("int8"), "needs samples"),
    ],
)
def test_what_makes_no_sense_is_refused(how, said):
    with pytest.raises(UsageError, match=said):
        quantize_model(load_model(network()), how)
    assert set(KINDS) == {"int8", "fp16"}
