from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from small_models import conv_model, external_model, files_in, write

from onnxprune.errors import OutputError
from onnxprune.model import Model, load_model, save_model
from onnxprune.model.assemble import assemble
from onnxprune.model.save import check_output
from onnxprune.model.stream import inline, pieces


def refused(model: Model, path: Path) -> str:
    with pytest.raises(OutputError) as caught:
        save_model(model, path)
    assert caught.value.hint
    assert str(caught.value).isprintable()
    return caught.value.message


def cut(model: Model) -> Model:
    """The model with half of its filters."""
    kept = np.array([0, 2])
    changed = {name: model.constants[name].values().take(kept, 0) for name in ("w", "b")}
    changed["map"] = model.constants["map"].values().take(kept, 1)
    constants = {name: model.constants[name].replaced(values) for name, values in changed.items()}
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    return replace(model, proto=proto, constants=model.constants.with_changes(constants))


def test_saved_file_is_the_source_and_runs(tmp_path: Path) -> None:
    path = write(tmp_path, conv_model())
    written = save_model(load_model(path), tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == path.read_bytes()
    assert written == path.stat().st_size
    assert (tmp_path / "out.onnx").stat().st_mode == path.stat().st_mode
    assert files_in(tmp_path) == {"model.onnx", "out.onnx"}


def test_pruned_model_runs(tmp_path: Path) -> None:
    save_model(cut(load_model(conv_model())), tmp_path / "out.onnx")
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    whole, part = (
        onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for source in (conv_model().SerializeToString(), tmp_path / "out.onnx")
    )
    np.testing.assert_allclose(part, whole[:, [0, 2]], rtol=1e-5, atol=1e-5)


@given(st.sets(st.sampled_from(["w", "b", "map", "factor"])), st.integers(0, 3))
def test_streamed_bytes_equal_those_of_the_assembled_model(names: set[str], size: int) -> None:
    model = load_model(conv_model())
    changed = {name: model.constants[name].replaced(np.ones((size, 5), np.float32)) for name in names}
    changed_model = replace(model, constants=model.constants.with_changes(changed))
    streamed = b"".join(pieces(changed_model, inline))
    assert streamed == assemble(changed_model).SerializeToString(deterministic=True)


def test_same_model_same_bytes(tmp_path: Path) -> None:
    model = conv_model()
    for key in ("zeta", "alpha"):
        model.metadata_props.add(key=key, value=key)
    results = []
    for _ in range(3):
        save_model(cut(load_model(model)), tmp_path / "out.onnx")
        results.append((tmp_path / "out.onnx").read_bytes())
    assert results[0] == results[1] == results[2]


def test_an_earlier_result_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.onnx").write_bytes(b"old")
    save_model(load_model(conv_model()), tmp_path / "out.onnx")
    assert load_model(tmp_path / "out.onnx").to_proto() == conv_model()


def test_large_results_get_a_data_file(tmp_path: Path) -> None:
    model = load_model(conv_model())
    save_model(model, tmp_path / "out.onnx", largest_single_file=1000)
    assert files_in(tmp_path) == {"out.onnx", "out.onnx.data"}
    assert load_model(tmp_path / "out.onnx").to_proto() == conv_model()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    model = load_model(conv_model())
    assert "is a folder" in refused(model, tmp_path)
    assert "does not exist" in refused(model, tmp_path / "none" / "out.onnx")
    (tmp_path / "file").write_bytes(b"")
    assert "does not exist" in refused(model, tmp_path / "file" / "out.onnx")
    os.mkfifo(tmp_path / "pipe")
    assert "not a plain file" in refused(model, tmp_path / "pipe")
    assert "not a plain file" in refused(model, Path(os.devnull))
    assert "cannot be used" in refused(model, tmp_path / ("n" * 400))
    assert "cannot be used" in refused(model, Path("a\0b"))
    assert r"'a\x1b'" in refused(model, tmp_path / "a\x1b" / "x").replace(str(tmp_path) + "/", "")
    assert files_in(tmp_path) == {"file", "pipe"}


def test_folder_that_this_user_cannot_write(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert "cannot be written to" in refused(load_model(conv_model()), locked / "out.onnx")


def test_source_is_never_the_output(tmp_path: Path) -> None:
    path = external_model(tmp_path)
    model = load_model(path)
    (tmp_path / "soft.onnx").symlink_to(path)
    (tmp_path / "hard.onnx").hardlink_to(path)
    (tmp_path / "sub").mkdir()
    before = {name: (tmp_path / name).read_bytes() for name in ("model.onnx", "weights.bin")}
    for name in ("model.onnx", "soft.onnx", "hard.onnx", "weights.bin", "sub/../model.onnx"):
        assert "source model" in refused(model, tmp_path / name)
        with pytest.raises(OutputError):
            check_output(tmp_path / name, model)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_data_file_of_the_source_is_never_the_data_file_of_the_output(tmp_path: Path) -> None:
    model = load_model(external_model(tmp_path, location="out.onnx.data"))
    assert "'out.onnx.data'" in refused(model, tmp_path / "out.onnx").replace(str(tmp_path) + "/", "")
    assert load_model(tmp_path / "model.onnx").to_proto() == conv_model()


def test_a_model_from_memory_may_go_anywhere(tmp_path: Path) -> None:
    path = write(tmp_path, conv_model())
    save_model(load_model(onnx.load(path)), path)


@contextmanager
def files_no_larger_than(nbytes: int) -> Iterator[None]:
    """A full disk, as far as a process can have one by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def large(folder: Path, *, external: bool) -> Model:
    tensor = onnx.numpy_helper.from_array(np.ones((64, 1024), np.float32), "extra")
    proto = conv_model()
    proto.graph.initializer.append(tensor)
    path = folder / "model.onnx"
    onnx.save(proto, path, save_as_external_data=external, location="w.bin")
    return load_model(path)


@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("earlier", [False, True])
def test_full_disk_leaves_everything_as_it_was(tmp_path: Path, external: bool, earlier: bool) -> None:
    model = large(tmp_path, external=external)
    if earlier:
        (tmp_path / "out.onnx").write_bytes(b"earlier")
        (tmp_path / "out.onnx.data").write_bytes(b"earlier")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with files_no_larger_than(100_000):
        message = refused(model, tmp_path / "out.onnx")
    assert "cannot be written" in message
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, MemoryError, SystemExit])
def test_interrupt_leaves_nothing_behind(tmp_path: Path, interrupt: type[BaseException]) -> None:
    model = large(tmp_path, external=True)
    before = files_in(tmp_path)

    def stop() -> np.ndarray:
        assert files_in(tmp_path) - before  # part of the data is written
        raise interrupt

    late = replace(model.constants["extra"], read=stop, original=None)
    stopped = replace(model, constants=model.constants.with_changes({"extra": late}))
    with pytest.raises(interrupt):
        save_model(stopped, tmp_path / "out.onnx")
    assert files_in(tmp_path) == before


def test_a_model_that_does_not_fit_its_graph_is_not_written(tmp_path: Path) -> None:
    model = load_model(conv_model())
    wrong = replace(model.constants["w"], data_type=TensorProto.INT8, original=None)
    broken = replace(model, constants=model.constants.with_changes({"w": wrong}))
    assert "'w' should be" in refused(broken, tmp_path / "out.onnx")
    assert files_in(tmp_path) == set()
