from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_models import conv_model, external_model, files_in, floats, model_of, refer, write

from onnxprune.errors import InputError
from onnxprune.model import load_model, save_model


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(path)
    assert caught.value.hint
    assert str(caught.value).isprintable()
    return caught.value.message


def with_weight(folder: Path, **entries: object) -> Path:
    """The external model with other entries for its weight."""
    path = external_model(folder)
    model = onnx.load(path, load_external_data=False)
    refer(model.graph.initializer[0], **entries)
    return write(folder, model)


def test_values_come_from_the_file(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    model = load_model(path)
    assert model.to_proto() == conv_model()
    assert model.nbytes == path.stat().st_size + (tmp_path / "weights.bin").stat().st_size
    assert model.external == ((tmp_path / "weights.bin").resolve(),)
    assert not model.proto.graph.initializer[0].external_data
    assert len(model.proto.graph.initializer[1].raw_data) == 16  # the small bias is in the graph


def test_values_are_mapped_not_read(tmp_path: Path) -> None:
    values = load_model(external_model(tmp_path)).constants["w"].values()
    base = values
    while not isinstance(base, np.memmap):
        assert base.base is not None
        base = base.base.obj if isinstance(base.base, memoryview) else base.base
    assert not values.flags.writeable


def test_files_below_the_folder_and_links_within_it(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    load_model(external_model(tmp_path, location="below/w.bin"))
    (tmp_path / "linked.bin").symlink_to(tmp_path / "below" / "w.bin")
    load_model(with_weight(tmp_path, location="linked.bin", offset=64, length=432))


def test_model_is_found_from_any_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = external_model(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert load_model(path.name).to_proto() == conv_model()
    monkeypatch.chdir(tmp_path.parent)
    assert load_model(path).to_proto() == conv_model()


def test_length_may_be_left_out(tmp_path: Path) -> None:
    assert load_model(with_weight(tmp_path, location="weights.bin", offset=64)).to_proto() == conv_model()


FAULTS: list[tuple[str, dict[str, object], str]] = [
    ("missing", {"location": "none.bin"}, "'none.bin' of tensor 'w' is missing"),
    ("absolute", {"location": "/etc/hostname"}, "relative path inside the model's folder"),
    ("parent", {"location": "../secret.bin"}, "relative path inside the model's folder"),
    ("parent in the middle", {"location": "a/../../secret.bin"}, "relative path inside"),
    ("folder", {"location": "."}, "not a plain file"),
    ("empty", {"location": ""}, "not a plain file"),
    ("control", {"location": "a\n\0b"}, r"'a\n\x00b'"),
    ("link out", {"location": "out.bin"}, "link that leaves the model's folder"),
    ("linked folder", {"location": "outside/secret.bin"}, "link that leaves the model's folder"),
    ("loop", {"location": "loop.bin"}, "cannot be opened"),
    ("offset beyond", {"location": "weights.bin", "offset": 4096, "length": 432}, "which has 496 bytes"),
    ("end beyond", {"location": "weights.bin", "offset": 65, "length": 432}, "bytes 65 to 497"),
    ("huge offset", {"location": "weights.bin", "offset": 1 << 63}, "which has 496 bytes"),
    ("endless number", {"location": "weights.bin", "offset": "1" * 5000}, "have the offset '111"),
    ("overlap, spelled differently", {"location": "./weights.bin", "offset": 8}, "overlap in 'weights.bin'"),
    ("negative offset", {"location": "weights.bin", "offset": -1}, "have the offset '-1'"),
    ("no number", {"location": "weights.bin", "offset": "ten"}, "have the offset 'ten'"),
    ("other digits", {"location": "weights.bin", "offset": "٣"}, "have the offset"),
    (
        "wrong length",
        {"location": "weights.bin", "length": 400},
        "are 400 bytes, its shape [4, 3, 3, 3] takes",
    ),
    (
        "overlap",
        {"location": "weights.bin", "offset": 8, "length": 432},
        "'b' and 'w' overlap in 'weights.bin'",
    ),
]


@pytest.mark.parametrize(("entries", "message"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_faulty_references(tmp_path: Path, entries: dict[str, object], message: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(1024))
    (folder / "out.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "loop.bin").symlink_to("loop.bin")
    assert message in refused(with_weight(folder, **entries))


@pytest.mark.parametrize("number", [b"\x01", b"\x81\x80\x80\x00"])
def test_external_data_without_a_word_on_where_they_are(number: bytes) -> None:
    """The number of the field may take more bytes than it needs."""
    filler = "." * (len(number) - 1)
    plain = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], doc_string=filler)
    plain.data_location = TensorProto.EXTERNAL
    content = model_of([helper.make_node("Relu", ["w"], ["y"])], [plain]).SerializeToString()
    text = b"b" + bytes([len(filler)]) + filler.encode()
    stored = plain.SerializeToString()
    spelled = stored.replace(text, b"b\x00").replace(b"p\x01", b"p" + number)
    assert len(spelled) == len(stored)
    with pytest.raises(InputError, match="'w' lies in another file"):
        load_model(content.replace(stored, spelled))


def test_location_that_is_not_text(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"weights.bin", b"\xff" * 11))
    assert "no readable name" in refused(path)


def test_result_with_small_tensors_only_is_one_file(tmp_path: Path) -> None:
    source = model_of([helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], [floats("w", 4, 3, 3, 3)])
    path = tmp_path / "model.onnx"
    onnx.save(source, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    save_model(load_model(path), tmp_path / "out.onnx")
    assert files_in(tmp_path) == {"model.onnx", "w.bin", "out.onnx"}
    assert load_model((tmp_path / "out.onnx").read_bytes()).to_proto() == model_without_files(path)


def test_moved_and_truncated_data(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:-1])
    assert "bytes 64 to 496 of 'weights.bin', which has 495 bytes" in refused(path)
    data.write_bytes(b"")
    assert "which has 0 bytes" in refused(path)
    data.unlink()
    assert "is missing" in refused(path)


def test_a_model_in_memory_has_no_folder(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    for source in (path.read_bytes(), onnx.load(path, load_external_data=False)):
        with pytest.raises(InputError, match="in memory has no folder") as caught:
            load_model(source)
        assert "path" in caught.value.hint


def test_equal_tensors_may_share_their_bytes(tmp_path: Path) -> None:
    model = conv_model()
    (tmp_path / "w.bin").write_bytes(model.graph.initializer[0].raw_data)
    model.graph.initializer.append(floats("w2", 4, 3, 3, 3))
    for index in (0, 2):
        refer(model.graph.initializer[index], location="w.bin", offset=0, length=432)
    constants = load_model(write(tmp_path, model)).constants
    np.testing.assert_array_equal(constants["w"].values(), constants["w2"].values())


def test_tensors_of_constant_nodes_subgraphs_and_functions_are_found(tmp_path: Path) -> None:
    values = floats("", 1, 3, 8, 8)
    (tmp_path / "w.bin").write_bytes(values.raw_data)
    outside = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1, 3, 8, 8])
    refer(outside, location="w.bin")
    constant = helper.make_node("Constant", [], ["k"], value=outside)
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["i"], value=outside), helper.make_node("Add", ["x", "i"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    chosen = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8]),
        helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
    ]
    source = model_of([constant, chosen], inputs=inputs)
    opsets = [helper.make_opsetid("", 17)]
    source.functions.append(helper.make_function("local", "F", [], ["k"], [constant], opsets))
    whole = load_model(write(tmp_path, source)).to_proto()
    held = [whole.graph.node[0].attribute[0].t, whole.functions[0].node[0].attribute[0].t]
    held += [attribute.g.node[0].attribute[0].t for attribute in whole.graph.node[1].attribute]
    assert all(tensor.raw_data == values.raw_data and not tensor.external_data for tensor in held)


@pytest.mark.parametrize(
    "place", ["sparse constant", "sparse attribute", "default of a function", "training"]
)
def test_external_data_where_nobody_looks(tmp_path: Path, place: str) -> None:
    """ONNX Runtime would open such a file itself, wherever it is."""
    outside = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[4])
    refer(outside, location="../secret.bin", length=16)
    indices = numpy_helper.from_array(np.arange(4), "indices")
    sparse = onnx.SparseTensorProto(values=outside, indices=indices, dims=[8])
    source = model_of([helper.make_node("Relu", ["x"], ["y"])])
    if place == "sparse constant":
        source.graph.sparse_initializer.append(sparse)
    elif place == "sparse attribute":
        source.graph.node.insert(0, helper.make_node("Constant", [], ["k"], sparse_value=sparse))
    elif place == "default of a function":
        function = helper.make_function(
            "own", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], []
        )
        function.opset_import.add(domain="", version=17)
        function.attribute_proto.append(helper.make_attribute("t", outside))
        source.functions.append(function)
    else:
        source.training_info.add().algorithm.initializer.append(outside)
    assert "where none are supported" in refused(write(tmp_path, source))


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    external_model(tmp_path)
    os.mkfifo(tmp_path / "pipe.bin")
    assert "not a plain file" in refused(with_weight(tmp_path, location="pipe.bin"))


def test_saved_model_has_one_data_file_that_runs(tmp_path: Path) -> None:
    source = external_model(tmp_path)
    folder = tmp_path / "result"
    folder.mkdir()
    # The weight of 432 bytes stays in the file; make it larger than what goes outside.
    model = onnx.load(source)
    model.graph.initializer[0].CopyFrom(floats("w", 4, 3, 11, 11))
    model.graph.node[2].attribute[0].ints[:] = [5, 5, 5, 5]
    onnx.save(model, source, save_as_external_data=True, location="big.bin", size_threshold=0)
    loaded = load_model(source)
    written = save_model(loaded, folder / "out.onnx")
    data = folder / "out.onnx.data"
    assert written == (folder / "out.onnx").stat().st_size + data.stat().st_size
    assert data.stat().st_mode == (folder / "out.onnx").stat().st_mode
    assert load_model(folder / "out.onnx").to_proto() == loaded.to_proto() == model_without_files(source)
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    outputs = [
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for path in (source, folder / "out.onnx")
    ]
    np.testing.assert_array_equal(*outputs)


def model_without_files(path: Path) -> onnx.ModelProto:
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.ClearField("data_location")
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.ClearField("data_location")
    return model


def many_tensors(folder: Path) -> Path:
    """Tensors of sizes around the limits, of a packed type and with typed data, all in one file."""
    tensors = [floats(f"t{size}", size // 4) for size in (4, 1020, 1024, 1028, 1 << 20, 4096, 1 << 21)]
    packed = numpy_helper.from_array(
        np.arange(4096).astype(onnx.helper.tensor_dtype_to_np_dtype(22)), "packed"
    )
    typed = helper.make_tensor("typed", TensorProto.FLOAT, [512], np.arange(512.0).tolist())
    data = b""
    for tensor in (*tensors, packed):
        length = len(tensor.raw_data)
        data, offset = data + tensor.raw_data, len(data)
        refer(tensor, location="d.bin", offset=offset, length=length)
    (folder / "d.bin").write_bytes(data)
    model = model_of(
        [helper.make_node("Relu", ["x"], ["y"])], [*tensors, packed, typed], opset=21, ir_version=10
    )
    return write(folder, model)


def test_layout_of_the_data_file(tmp_path: Path) -> None:
    loaded = load_model(many_tensors(tmp_path))
    save_model(loaded, tmp_path / "out.onnx")
    light = onnx.load(tmp_path / "out.onnx", load_external_data=False)
    regions = {}
    for tensor in light.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            assert entries["location"] == "out.onnx.data"
            regions[tensor.name] = (int(entries["offset"]), int(entries["length"]))
    assert set(regions) == {"t1024", "t1028", "t1048576", "t4096", "t2097152", "packed", "typed"}
    assert all(offset % (4096 if length >= 1 << 20 else 64) == 0 for offset, length in regions.values())
    again = load_model(tmp_path / "out.onnx")
    for name, constant in loaded.constants.items():
        np.testing.assert_array_equal(constant.values(), again.constants[name].values())


def test_saving_again_gives_the_same_bytes_and_does_not_append(tmp_path: Path) -> None:
    loaded = load_model(many_tensors(tmp_path))
    results = []
    for _ in range(2):
        save_model(loaded, tmp_path / "out.onnx")
        results.append([(tmp_path / name).read_bytes() for name in ("out.onnx", "out.onnx.data")])
    assert results[0] == results[1]


def test_result_can_be_moved_with_its_data(tmp_path: Path) -> None:
    loaded = load_model(many_tensors(tmp_path))
    save_model(loaded, tmp_path / "out.onnx")
    (tmp_path / "elsewhere").mkdir()
    for name in ("out.onnx", "out.onnx.data"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    assert list(load_model(tmp_path / "elsewhere" / "out.onnx").constants) == list(loaded.constants)
