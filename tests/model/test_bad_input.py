from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from small_models import conv_model, floats, model_of, write

from onnxprune.errors import InputError
from onnxprune.model import load_model
from onnxprune.model.validate import check_finite

DATA = conv_model().SerializeToString()


def refused(source: object) -> str:
    """The message of the refusal, which has a hint and is one line of printable text."""
    with pytest.raises(InputError) as caught:
        load_model(source)  # type: ignore[arg-type]
    assert caught.value.hint
    assert str(caught.value).isprintable()
    return caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (DATA[:-1], "complete ONNX model"),
        (DATA[: len(DATA) // 2], "bytes too early"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras"),
        (b"PK\x03\x04" + bytes(64), "zip"),
        (b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b'{"a": 1}', "JSON"),
        (b"\xff" * 64, "complete ONNX model"),
        (bytes(range(256)), "complete ONNX model"),
        (b"\x08\x08", "holds no graph"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    told = refused(path)
    assert message in told
    assert "model.onnx" in told


def test_places_that_are_no_files(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.onnx")
    assert "is a folder" in refused(tmp_path)
    write(tmp_path, conv_model(), "inside.onnx")
    with pytest.raises(InputError) as caught:
        load_model(tmp_path)
    assert "'inside.onnx'" in caught.value.hint
    assert "cannot be read" in refused(tmp_path / "inside.onnx" / "below")
    assert "cannot be read" in refused("a\0b")
    assert "cannot be read" in refused(tmp_path / ("n" * 400))
    os.mkfifo(tmp_path / "pipe")
    assert "not a plain file" in refused(tmp_path / "pipe")


def test_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path, conv_model())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    assert "cannot be read" in refused(path)


def test_every_truncation_is_refused() -> None:
    plain = model_of([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], [floats("w", 4, 3, 3, 3)])
    data = plain.SerializeToString()  # the required import of an operator set comes last
    for length in range(len(data)):
        refused(data[:length])


@given(st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.integers(0, 255)), min_size=1, max_size=5))
def test_damaged_bytes_load_or_are_refused(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(DATA)
    for position, value in changes:
        damaged[position] = value
    try:
        model = load_model(bytes(damaged))
    except InputError:
        refused(bytes(damaged))
        return
    assert all(constant.values().shape == constant.shape for constant in model.constants.values())
    whole = onnx.ModelProto.FromString(damaged)  # compared as bytes, as NaN does not equal itself
    assert whole.SerializeToString(deterministic=True) == model.to_proto().SerializeToString(
        deterministic=True
    )


Change = Callable[[ModelProto], object]


def edited(change: Change) -> ModelProto:
    model = conv_model()
    change(model)
    return model


def cyclic(model: ModelProto) -> None:
    model.graph.node[2].input[0] = "a"


def unsorted(model: ModelProto) -> None:
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[::-1])


def set_opset(version: int) -> Change:
    def change(model: ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def set_weight(**fields: object) -> Change:
    def change(model: ModelProto) -> None:
        for name, value in fields.items():
            if name == "dims":
                model.graph.initializer[0].dims[:] = value
            else:
                setattr(model.graph.initializer[0], name, value)

    return change


FAULTS: list[tuple[str, Change, str]] = [
    ("no nodes", lambda m: m.graph.ClearField("node"), "no nodes"),
    ("no outputs", lambda m: m.graph.ClearField("output"), "without outputs"),
    ("no opset", lambda m: m.ClearField("opset_import"), "imports no operator set"),
    ("only another opset", lambda m: setattr(m.opset_import[0], "domain", "ai.onnx.ml"), "does not import"),
    ("no IR version", lambda m: m.ClearField("ir_version"), "no IR version"),
    ("old opset", set_opset(6), "opset 6"),
    ("future opset", set_opset(9999), "opset 9999"),
    ("future IR", lambda m: setattr(m, "ir_version", 9999), "IR version 9999"),
    ("cycle", cyclic, "cycle through the nodes 'conv' (Conv), number 3 (Add)"),
    ("unsorted", unsorted, "not sorted: node number 0 (Mul) reads 'a'"),
    ("unknown input", lambda m: m.graph.node[2].input.append("ghost"), "reads tensor 'ghost', which nothing"),
    ("unknown output", lambda m: setattr(m.graph.output[0], "name", "ghost"), "'ghost' is produced by no"),
    ("two writers", lambda m: m.graph.node.add(op_type="Relu", input=["x"], output=["c"]), "defined twice"),
    ("shadowed", lambda m: m.graph.node.add(op_type="Relu", input=["x"], output=["w"]), "defined twice"),
    ("two weights", lambda m: m.graph.initializer.append(floats("w", 4)), "two initializers named 'w'"),
    ("two inputs", lambda m: m.graph.input.append(m.graph.input[0]), "two inputs named 'x'"),
    ("nameless weight", lambda m: m.graph.initializer.append(floats("", 4)), "without a readable name"),
    ("no operator", lambda m: m.graph.node[2].ClearField("op_type"), "names no operator"),
    ("short data", set_weight(raw_data=bytes(8)), "holds 8 bytes instead of 432"),
    ("no data", lambda m: m.graph.initializer[0].ClearField("raw_data"), "0 values instead of 108"),
    (
        "two forms of data",
        lambda m: m.graph.initializer[0].float_data.extend([1.0] * 108),
        "both raw_data and",
    ),
    ("other shape", set_weight(dims=[4, 3, 3, 4]), "432 bytes instead of 576"),
    ("negative size", set_weight(dims=[-4, 3, 3, 3]), "negative size"),
    ("absurd size", set_weight(dims=[1 << 40, 1 << 40]), "more than any memory"),
    ("overflowing size", set_weight(dims=[1 << 62, 4]), "more than any memory"),
    ("unknown type", set_weight(data_type=999), "element type 999"),
    ("no type", set_weight(data_type=0), "element type 0"),
    (
        "unknown type of an input",
        lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", -1),
        "Graph input 'x' has the element type -1",
    ),
    (
        "unknown type of an output",
        lambda m: setattr(m.graph.output[0].type.tensor_type, "elem_type", 999),
        "has the element type 999",
    ),
    ("control characters", lambda m: m.graph.node[2].input.append("a\x1b[31m\nb"), r"'a\x1b[31m\nb'"),
    ("endless name", lambda m: m.graph.node[2].input.append("n" * 10**6), "nnn...nnn"),
]


@pytest.mark.parametrize(("change", "message"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faulty_models(change: Change, message: str) -> None:
    told = refused(edited(change))
    assert message in told
    assert len(told) < 1000


@pytest.mark.parametrize(
    ("data_type", "field", "count"),
    [
        (TensorProto.FLOAT, "float_data", 5),
        (TensorProto.INT64, "int64_data", 7),
        (TensorProto.COMPLEX64, "float_data", 6),
        (TensorProto.INT4, "int32_data", 6),
        (TensorProto.STRING, "string_data", 7),
    ],
)
def test_wrong_number_of_typed_values(data_type: int, field: str, count: int) -> None:
    tensor = TensorProto(name="t", data_type=data_type, dims=[6])
    getattr(tensor, field).extend([b"s" if data_type == TensorProto.STRING else 1] * count)
    relu = helper.make_node("Relu", ["x"], ["y"])
    assert "tensor 't' do not fit" in refused(model_of([relu], [tensor]))


def test_small_constant_node_with_wrong_data() -> None:
    tensor = TensorProto(name="", data_type=TensorProto.FLOAT, dims=[3], raw_data=bytes(8))
    nodes = [helper.make_node("Constant", [], ["k"], value=tensor), helper.make_node("Relu", ["x"], ["y"])]
    assert "8 bytes instead of 12" in refused(model_of(nodes))


def test_names_that_are_not_text() -> None:
    for name in (b"conv", b"map"):
        assert name in DATA
        assert "UTF-8" in refused(DATA.replace(name, b"\xff" * len(name)))


def test_versions_that_the_installed_runtime_takes_are_accepted() -> None:
    """Opset and IR of the newest released pair that this ONNX Runtime runs, found by trying."""
    accepted = []
    for opset in range(21, onnx.defs.onnx_opset_version() + 1):
        model = edited(set_opset(opset))
        try:
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        except Exception:
            assert f"opset {opset}" in refused(model)
        else:
            load_model(model)
            accepted.append(opset)
    assert 22 in accepted


def branch(*nodes: onnx.NodeProto, output: str = "z") -> onnx.GraphProto:
    value = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "branch", [], [value])


def test_subgraphs_see_what_lies_before_them() -> None:
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    inner = branch(helper.make_node("Relu", ["later"], ["z"]))
    chosen = helper.make_node("If", ["flag"], ["y"], name="if", then_branch=inner, else_branch=inner)
    later = helper.make_node("Abs", ["x"], ["later"])
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3]), flag]
    load_model(model_of([later, chosen], inputs=inputs))
    assert "not sorted: node 'if' (If) reads 'later'" in refused(model_of([chosen, later], inputs=inputs))
    assert "'later', which nothing produces" in refused(model_of([chosen], inputs=inputs))


def test_optional_inputs_and_outputs_are_not_names() -> None:
    nodes = [
        helper.make_node("Clip", ["x", "", "top"], ["a"]),
        helper.make_node("Dropout", ["a"], ["b", ""]),
        helper.make_node("Dropout", ["b"], ["y", ""]),
    ]
    load_model(model_of(nodes, [numpy_helper.from_array(np.float32(6), "top")]))


def test_models_of_other_domains_and_unknown_operators_load() -> None:
    node = helper.make_node("Mystery", ["x"], ["y"], domain="com.example")
    model = model_of([node])
    model.opset_import[0].domain = "com.example"
    load_model(model)
    load_model(model_of([helper.make_node("NoSuchOperator", ["x"], ["y"])]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(dtype: type, bad: float) -> None:
    values = np.linspace(-60000, 60000, 2_000_000).astype(dtype)  # extends over several chunks
    values[[0, 5, 1_999_999]] = bad
    tensors = [floats("fine", 100), numpy_helper.from_array(values, "weight")]
    constants = load_model(model_of([helper.make_node("Relu", ["x"], ["y"])], tensors)).constants
    with pytest.raises(InputError, match="'weight' has 3 of 2,000,000 values that are NaN or infinite"):
        check_finite(constants)
    check_finite(constants, ["fine"])


def test_largest_and_smallest_numbers_are_finite() -> None:
    extreme = np.array([np.finfo(np.float32).max, -np.finfo(np.float32).max, 1e-45], np.float32)
    tensors = [numpy_helper.from_array(extreme, "w"), numpy_helper.from_array(np.array([1 << 62]), "i")]
    check_finite(load_model(model_of([helper.make_node("Relu", ["x"], ["y"])], tensors)).constants)
