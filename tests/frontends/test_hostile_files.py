"""Keras and torch files that reach for other files, unpack to gigabytes, or nest without end.

All of them are refused before Keras or torch are given anything.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from onnxprune.errors import InputError
from onnxprune.frontends import convert
from onnxprune.frontends.bombs import ALWAYS
from onnxprune.frontends.keras_config import check_config

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.frontends

DENSE = {"class_name": "Dense", "config": {"name": "dense", "units": 3}}
PLAIN = {"class_name": "Sequential", "config": {"name": "net", "layers": [DENSE]}}
NESTED = "[" * 100_000 + "]" * 100_000


def hdf5(path: Path, config: str = json.dumps(PLAIN)) -> h5py.File:
    """A file with an architecture; add weights, then close it."""
    file = h5py.File(path, "w")
    file.attrs["model_config"] = config
    return file


def keras_archive(path: Path, weights: Path | None = None, config: str = json.dumps(PLAIN)) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
        archive.writestr("metadata.json", "{}")
        if weights is not None:
            archive.write(weights, "model.weights.h5")
    return path


def linked(file: h5py.File, secret: Path) -> None:
    file["model_weights/dense/kernel"] = h5py.ExternalLink(str(secret), "/kernel")


def stored_elsewhere(file: h5py.File, secret: Path) -> None:
    file.create_dataset("kernel", (16,), "u1", external=[(str(secret), 0, 16)])


def put_together(file: h5py.File, secret: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "kernel", (4,))
    file.create_virtual_dataset("deep/down/kernel", layout)


def promised(file: h5py.File, secret: Path) -> None:
    file.create_dataset("kernel", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))


def packed(file: h5py.File, secret: Path) -> None:
    file.create_dataset("kernel", data=np.zeros(ALWAYS, np.uint8), compression="gzip", compression_opts=1)
    file.create_dataset("bias", data=np.zeros(1, np.uint8))


WEIGHTS = {
    "a link to another file": (linked, "link to another file"),
    "data in another file": (stored_elsewhere, "keeps '/kernel' in another file"),
    "data out of other files": (put_together, "keeps '/deep/down/kernel' in another file"),
    "sizes without data": (promised, "unpacks to 4,398,046,511,104"),
    "compressed zeros": (packed, "unpacks to 67,108,865"),
}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_not_in_the_file(tmp_path: Path, name: str, suffix: str) -> None:
    spoil, said = WEIGHTS[name]
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["kernel"] = np.arange(4, dtype=np.float32)
    path = tmp_path / "model.h5"
    with hdf5(path) as file:
        spoil(file, secret)
    if suffix == ".keras":
        path = keras_archive(tmp_path / "model.keras", path)
    with pytest.raises(InputError) as caught:
        convert(path)
    assert said in caught.value.message
    assert caught.value.hint


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with hdf5(path, '{"class_name": "Lambda", "config": {}}') as file:
        file.create_group("a/b")
        file["a/b/up"] = file["a"]
        file["a/soft"] = h5py.SoftLink("/a")
        file["a/nowhere"] = h5py.SoftLink("/none")
    with pytest.raises(InputError, match="Lambda"):
        convert(path)
    from onnxprune.frontends.bombs import check_hdf5

    check_hdf5(path, "the file")


def bomb(path: Path, *entries: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for entry in entries:
            with archive.open(entry, "w") as file:
                for _ in range(ALWAYS >> 20):
                    file.write(bytes(1 << 20))
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", "{}")
    return path


@pytest.mark.parametrize(
    ("name", "entries"),
    [("model.keras", ("config.json", "model.weights.h5")), ("model.pt2", ("net/data/weights/weight_0",))],
)
def test_archives_that_unpack_to_far_more(tmp_path: Path, name: str, entries: tuple[str, ...]) -> None:
    pytest.importorskip("torch" if name.endswith("pt2") else "h5py")
    with pytest.raises(InputError, match="which no model does"):
        convert(bomb(tmp_path / name, *entries))


@pytest.mark.parametrize("config", [NESTED, '{"class_name": "Dense", "config": ' * 900 + "{}" + "}" * 900])
def test_architectures_that_nest_without_end(tmp_path: Path, config: str) -> None:
    made = keras_archive(tmp_path / "model.keras", config=config)
    with pytest.raises(InputError, match="nests too deeply"):
        convert(made)


def test_a_program_that_nests_without_end(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", NESTED)
    with pytest.raises(InputError, match="nests too deeply"):
        convert(tmp_path / "model.pt2")


REACHING = {
    "a download": {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://nowhere"}},
    "a setting": {
        "module": "keras.config",
        "class_name": "enable_unsafe_deserialization",
        "registered_name": "enable_unsafe_deserialization",
        "config": {},
    },
    "the same, by its home": {
        "module": "keras.src.saving.serialization_lib",
        "class_name": "enable",
        "config": {},
    },
    "a function of Keras itself": {"module": "keras", "class_name": "device", "config": {}},
    "another file to load": {
        "module": "keras.saving",
        "class_name": "load_model",
        "config": {"filepath": "x"},
    },
    "a function as a value": {
        "class_name": "Dense",
        "config": {"activation": {"module": "keras.utils", "class_name": "function", "config": "get_file"}},
    },
    "published networks": {"module": "keras.applications.resnet", "class_name": "ResNet50", "config": {}},
    "words in a file": {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
}


@pytest.mark.parametrize("name", REACHING)
def test_parts_of_keras_that_reach_beyond_the_file(name: str) -> None:
    with pytest.raises(InputError, match=r"author's own|another file") as caught:
        check_config({"class_name": "Sequential", "config": {"layers": [REACHING[name]]}}, "'model.keras'")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("keras.layers", "Conv2D"),
        ("keras.src.models.functional", "Functional"),
        ("keras.src.ops.numpy", "Add"),
        ("keras", "DTypePolicy"),
        ("keras.initializers", "GlorotUniform"),
        ("builtins", "slice"),
    ],
)
def test_parts_of_networks_pass(module: str, kind: str) -> None:
    check_config(
        {"module": module, "class_name": kind, "registered_name": None, "config": {}}, "'model.keras'"
    )
