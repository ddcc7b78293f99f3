"""Telling files apart, refusing what would run code, and saying what is missing: nothing is imported for it."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import onnx.parser
import pytest

from onnxprune.errors import InputError, UsageError
from onnxprune.frontends import convert, is_foreign
from onnxprune.frontends.formats import format_of


def tiny_model() -> onnx.ModelProto:
    return onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 13]>
        tiny (float[batch, 2] x) => (float[batch, 2] y) { y = Relu (x) }"""
    )


def archive(path: Path, *entries: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for entry in entries:
            file.writestr(entry, "{}")
    return path


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def saved_model(path: Path) -> Path:
    path.mkdir()
    return write(path / "saved_model.pb", b"").parent


KNOWN = {
    "Keras archive": lambda p: archive(p / "m.keras", "config.json", "model.weights.h5"),
    "Keras HDF5": lambda p: write(p / "m.h5", b"\x89HDF\r\n\x1a\n"),
    "SavedModel": lambda p: saved_model(p / "m"),
    "TensorFlow Lite": lambda p: write(p / "m.tflite", b"\x1c\0\0\0TFL3"),
    "torch.export": lambda p: archive(p / "m.pt2", "m/archive_format", "m/models/model.json"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_files_are_known_by_their_content(name: str, tmp_path: Path):
    path = KNOWN[name](tmp_path)
    found = format_of(path)
    assert found is not None
    assert name in found.name
    renamed = path.rename(path.with_name("model.bin"))
    assert format_of(renamed) is found
    assert is_foreign(renamed)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: write(p / "m.pt", pickle.dumps({"a": 1})),
        lambda p: write(p / "m.bin", pickle.dumps({"a": 1})),
        lambda p: archive(p / "m.pth", "m/data.pkl", "m/version"),
        lambda p: archive(p / "m.pt2", "m/data.pkl", "m/version"),
        lambda p: write(p / "m.pkl", b"anything"),
    ],
)
def test_pickles_are_refused_with_the_way_out(make, tmp_path: Path):
    with pytest.raises(InputError, match="pickle") as caught:
        convert(make(tmp_path))
    assert "torch.onnx.export(model, example_inputs" in caught.value.hint
    assert "onnxprune.prune(model" in caught.value.hint


def test_opening_a_pickle_does_not_run_it(tmp_path: Path):
    trap = tmp_path / "sprung"
    path = write(tmp_path / "m.pt", pickle.dumps(_Trap(trap)))
    with pytest.raises(InputError, match="pickle"):
        convert(path)
    assert not trap.exists()


class _Trap:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_weights_alone_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="a file of weights"):
        convert(write(tmp_path / "m.safetensors", b"\x08\0\0\0\0\0\0\0{}      "))


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".tflite", ".pt2"])
def test_a_suffix_that_does_not_fit_is_told(suffix: str, tmp_path: Path):
    with pytest.raises(InputError, match="whatever its suffix says"):
        convert(write(tmp_path / f"m{suffix}", b"something else altogether"))


@pytest.mark.parametrize("name", ["m.keras", "m.onnx", "folder"])
def test_a_missing_file_does_not_exist_whatever_its_suffix(name: str, tmp_path: Path):
    with pytest.raises(InputError, match="does not exist"):
        convert(tmp_path / name)


def test_an_empty_file_is_empty(tmp_path: Path):
    with pytest.raises(InputError, match="is empty"):
        convert(write(tmp_path / "m.keras", b""))


def test_onnx_models_pass_unchanged(tmp_path: Path):
    proto = tiny_model()
    path = write(tmp_path / "m.onnx", proto.SerializeToString())
    loaded = convert(path)
    assert loaded.path == path
    assert convert(proto).to_proto() == convert(path.read_bytes()).to_proto() == loaded.to_proto() == proto
    assert convert(loaded) is loaded
    assert not is_foreign(path)


def test_the_opset_of_an_onnx_model_is_not_chosen_here(tmp_path: Path):
    with pytest.raises(UsageError, match="converted"):
        convert(tiny_model(), opset=17)


def test_what_is_no_model_is_refused():
    with pytest.raises(InputError, match="from a dict"):
        convert({"a": 1})


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [
        ("TensorFlow Lite", "tensorflow", "keras"),
        ("SavedModel", "tf2onnx", "keras"),
        ("Keras HDF5", "h5py", "keras"),
        ("torch.export", "torch", "torch"),
    ],
)
def test_a_missing_package_is_named_with_the_pip_line(kind: str, module: str, extra: str, tmp_path: Path):
    path = KNOWN[kind](tmp_path)
    done = without(module, f"convert({str(path)!r})")
    assert done.endswith(f'which is not installed. pip install "onnxprune[{extra}]"')


def without(module: str, statement: str) -> str:
    """The error of a statement in a process in which a module cannot be found."""
    code = f"""
import importlib.abc, sys
class Gone(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Gone())
from onnxprune.errors import MissingExtraError
from onnxprune.frontends import convert
try:
    {statement}
except MissingExtraError as exc:
    print(exc)
"""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_nothing_heavy_is_imported_to_look_at_a_file(tmp_path: Path):
    code = f"""
import sys
from onnxprune.frontends import convert, is_foreign
is_foreign({str(KNOWN["TensorFlow Lite"](tmp_path))!r})
convert({str(write(tmp_path / "m.onnx", tiny_model().SerializeToString()))!r})
print(sorted({{"torch", "tensorflow", "keras", "tf2onnx", "h5py"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
