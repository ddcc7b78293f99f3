from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import conv_model, floats, model_of, write

from onnxprune.errors import InputError, OutputError
from onnxprune.model import Constant, Model, load_model

DTYPES = [
    np.float32,
    np.float16,
    np.float64,
    np.int8,
    np.uint8,
    np.int16,
    np.uint16,
    np.int32,
    np.uint32,
    np.int64,
    np.uint64,
    np.bool_,
    np.complex64,
    np.complex128,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
    ml_dtypes.int4,
    ml_dtypes.uint4,
]


def holding(*tensors: TensorProto) -> onnx.ModelProto:
    """A valid model with initializers that no node reads."""
    return model_of([helper.make_node("Relu", ["x"], ["y"])], tensors)


def replaced(model: Model, **values: np.ndarray) -> Model:
    changed = {name: model.constants[name].replaced(array) for name, array in values.items()}
    return replace(model, constants=model.constants.with_changes(changed))


def test_file_bytes_and_memory_give_the_same_model(tmp_path: Path) -> None:
    source = conv_model()
    path = write(tmp_path, source)
    loaded = [load_model(path), load_model(str(path)), load_model(path.read_bytes()), load_model(source)]
    assert all(model.proto == loaded[0].proto for model in loaded)
    assert all(list(model.constants) == ["w", "b", "map", "factor"] for model in loaded)
    assert [model.path for model in loaded] == [path, path, None, None]
    assert loaded[0].nbytes == path.stat().st_size
    assert loaded[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_model(loaded[0]) is loaded[0]


def test_only_large_tensors_are_taken_out_of_the_graph() -> None:
    graph = load_model(conv_model()).proto.graph
    weight, bias = graph.initializer
    assert (weight.name, list(weight.dims), weight.doc_string) == ("w", [4, 3, 3, 3], "filters")
    assert not weight.raw_data
    assert len(bias.raw_data) == 16
    large = graph.node[0].attribute[0].t
    assert list(large.dims) == [1, 4, 8, 8]
    assert not large.raw_data


def test_whole_model_comes_back_as_it_was() -> None:
    source = conv_model()
    whole = load_model(source).to_proto()
    assert whole.SerializeToString(deterministic=True) == source.SerializeToString(deterministic=True)


def test_loading_neither_changes_nor_keeps_the_source() -> None:
    source = conv_model()
    before = source.SerializeToString(deterministic=True)
    model = load_model(source)
    assert source.SerializeToString(deterministic=True) == before
    source.graph.initializer[0].raw_data = bytes(4 * 3 * 9 * 4)
    assert model.constants["w"].values().any()


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("typed", [False, True], ids=["raw", "typed"])
@pytest.mark.parametrize("shape", [(5, 120), (3,), (), (0, 4)], ids=str)
def test_values_of_every_element_type(dtype: type, typed: bool, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    data_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    tensor = numpy_helper.from_array(np.asarray(values), "t")
    if typed:
        tensor = helper.make_tensor("t", data_type, shape, values.reshape(-1).tolist())
    model = load_model(holding(tensor))
    constant = model.constants["t"]
    assert (constant.shape, constant.data_type) == (shape, data_type)
    assert constant.values().dtype == values.dtype
    np.testing.assert_array_equal(constant.values(), values)
    assert model.to_proto().graph.initializer[0] == tensor


def test_strings_are_carried_through() -> None:
    tensor = helper.make_tensor("t", TensorProto.STRING, [300], [f"label {i}" for i in range(300)])
    model = load_model(holding(tensor))
    assert model.constants["t"].values()[7] in (b"label 7", "label 7")
    assert not model.proto.graph.initializer[0].string_data
    assert model.to_proto().graph.initializer[0] == tensor


def test_values_are_aligned_and_read_only() -> None:
    tensors = [floats("n" * (1 + i), 100, seed=i) for i in range(8)]  # lie at every offset modulo 8
    model = load_model(holding(*tensors))
    for constant in model.constants.values():
        values = constant.values()
        assert values.flags.aligned
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value_float": 2.5}, np.float32(2.5)),
        ({"value_floats": [1.0, 2.0]}, np.array([1, 2], np.float32)),
        ({"value_int": 3}, np.int64(3)),
        ({"value_ints": [3, 4]}, np.array([3, 4])),
        ({"value": numpy_helper.from_array(np.arange(4, dtype=np.int32))}, np.arange(4, dtype=np.int32)),
        ({"value_string": "text"}, None),
        ({"value_strings": ["a", "b"]}, None),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_forms_of_constant_nodes(attribute: dict[str, object], expected: np.ndarray | None) -> None:
    nodes = [helper.make_node("Constant", [], ["k"], **attribute), helper.make_node("Relu", ["x"], ["y"])]
    source = model_of(nodes)
    model = load_model(source)
    assert model.to_proto() == source
    if expected is None:
        assert "k" not in model.constants
        return
    values = model.constants["k"].values()
    assert (values.dtype, values.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(values, expected)


def test_changed_constants_are_written_and_others_stay_as_spelled() -> None:
    source = conv_model()
    spelled = helper.make_tensor("b", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])  # in float_data
    source.graph.initializer[1].CopyFrom(spelled)
    weight, plane = np.ones((2, 3, 3, 3), np.float32), np.full((1, 2, 8, 8), 7, np.float32)
    cut = replaced(load_model(source), w=weight, map=plane).to_proto()
    assert cut.graph.initializer[0].doc_string == "filters"
    np.testing.assert_array_equal(numpy_helper.to_array(cut.graph.initializer[0]), weight)
    assert cut.graph.initializer[1] == spelled
    np.testing.assert_array_equal(numpy_helper.to_array(cut.graph.node[0].attribute[0].t), plane)
    assert cut.graph.node[1:] == source.graph.node[1:]


def test_changed_list_of_a_constant_node_becomes_its_value() -> None:
    cut = replaced(load_model(conv_model()), factor=np.array([5], np.float32)).to_proto()
    (attribute,) = cut.graph.node[1].attribute
    assert attribute.name == "value"
    assert numpy_helper.to_array(attribute.t).tolist() == [5.0]


def test_a_transposed_view_is_written_in_order() -> None:
    values = np.arange(36, dtype=np.float32).reshape(3, 12).T
    cut = replaced(load_model(conv_model()), b=values).to_proto()
    np.testing.assert_array_equal(numpy_helper.to_array(cut.graph.initializer[1]), values)


def test_a_copy_under_a_new_name_keeps_its_values() -> None:
    model = load_model(conv_model())
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.initializer.add(name="w2", dims=[4, 3, 3, 3], data_type=TensorProto.FLOAT)
    copy = replace(model.constants["w"], name="w2")
    joined = replace(model, proto=proto, constants=model.constants.with_changes({"w2": copy}))
    written = joined.to_proto().graph.initializer[2]
    assert written.name == "w2"
    assert written.raw_data == conv_model().graph.initializer[0].raw_data


def test_constants_and_graph_have_to_match() -> None:
    model = load_model(conv_model())
    stray = model.constants.with_changes({"new": Constant("new", (1,), 1, lambda: np.ones(1, np.float32))})
    with pytest.raises(OutputError, match="'new' has no tensor"):
        replace(model, constants=stray).to_proto()
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.initializer.add(name="hole", dims=[4], data_type=TensorProto.FLOAT)
    with pytest.raises(OutputError, match="'hole' has no values"):
        replace(model, proto=proto).to_proto()
    with pytest.raises(OutputError, match=r"'w' should be .* float32"):
        replaced(model, w=np.ones((2, 3, 3, 3), np.float64)).to_proto()


def test_initializers_that_are_inputs_too_stay_both() -> None:
    weight = helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 3, 3, 3])
    bias = helper.make_tensor_value_info("b", TensorProto.FLOAT, [4])
    source = conv_model()
    source.ir_version = 3
    source.graph.input.extend([weight, bias])
    assert load_model(source).to_proto() == source


def test_tensors_of_subgraphs_stay_where_they_are() -> None:
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "inner"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
        [floats("inner", 1, 3, 8, 8)],
    )
    node = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    source = model_of([node], inputs=[helper.make_tensor_value_info("x", 1, ["n", 3, 8, 8]), flag])
    model = load_model(source)
    assert "inner" not in model.constants
    assert model.proto == source


def test_a_newer_field_that_onnx_does_not_know_is_kept() -> None:
    data = conv_model().SerializeToString() + b"\xfa\x3f\x03abc"  # field 1023 of the model
    assert load_model(data).to_proto().SerializeToString(deterministic=True).count(b"\xfa\x3f\x03abc") == 1


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be loaded from a list"):
        load_model([1])  # type: ignore[arg-type]
