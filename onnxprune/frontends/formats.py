"""Which files can be converted, how they are told apart, and which are refused.

Content decides where it can: files are renamed. The suffix only helps to explain.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprune.errors import InputError
from onnxprune.model.naming import quoted

if TYPE_CHECKING:
    from onnx import ModelProto

Reader = Callable[[Path, "int | None"], "ModelProto"]
"""Converts a file or folder; the second argument is the opset, None for the exporter's usual one."""

_HEAD = 16


class Peek:
    """The little of a file that tells what it is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def head(self) -> bytes:
        """The first bytes; empty for a folder."""
        if not self.path.is_file():
            return b""
        with self.path.open("rb") as file:
            return file.read(_HEAD)

    @cached_property
    def entries(self) -> tuple[str, ...]:
        """Names in a zip archive or in a folder."""
        if self.path.is_dir():
            return tuple(sorted(inside.name for inside in self.path.iterdir()))
        if not self.head.startswith(b"PK"):
            return ()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return tuple(archive.namelist())
        except (zipfile.BadZipFile, OSError):
            return ()

    def holds(self, ending: str) -> bool:
        """Whether an entry is named so, at whatever depth."""
        return any(f"/{name}".endswith(f"/{ending}") for name in self.entries)


@dataclass(frozen=True)
class Format:
    """A kind of model that is converted.

    Attributes:
        name: for messages.
        suffixes: of such files, for messages and lists.
        matches: whether a file's content is of this kind.
        read: what converts it.
    """

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[Peek], bool]
    read: Reader


@dataclass(frozen=True)
class Refusal:
    """A kind of file that is not opened, and what to export in its stead."""

    name: str
    suffixes: tuple[str, ...]
    matches: Callable[[Peek], bool]
    hint: str


def _keras(path: Path, opset: int | None) -> ModelProto:
    from onnxprune.frontends import keras_files

    return keras_files.read(path, opset)


def _saved_model(path: Path, opset: int | None) -> ModelProto:
    from onnxprune.frontends import saved_models

    return saved_models.read(path, opset)


def _tflite(path: Path, opset: int | None) -> ModelProto:
    from onnxprune.frontends import tflite

    return tflite.read(path, opset)


def _torch_program(path: Path, opset: int | None) -> ModelProto:
    from onnxprune.frontends import torch_programs

    return torch_programs.read(path, opset)


def _never(peek: Peek) -> bool:
    return False


def _is_archive(peek: Peek) -> bool:
    return peek.head.startswith(b"PK") and "config.json" in peek.entries


def _is_hdf5(peek: Peek) -> bool:
    return peek.head.startswith(b"\x89HDF")


def _is_saved_model(peek: Peek) -> bool:
    return peek.path.is_dir() and "saved_model.pb" in peek.entries


def _is_tflite(peek: Peek) -> bool:
    return peek.head[4:8] == b"TFL3"


def _is_torch_program(peek: Peek) -> bool:
    return peek.head.startswith(b"PK") and peek.holds("archive_format")


def _is_pickle(peek: Peek) -> bool:
    return peek.holds("data.pkl") or peek.head[:1] == b"\x80"


FORMATS: tuple[Format, ...] = (
    Format("a Keras archive", (".keras",), _is_archive, _keras),
    Format("a Keras HDF5 file", (".h5", ".hdf5"), _is_hdf5, _keras),
    Format("a TensorFlow SavedModel folder", (), _is_saved_model, _saved_model),
    Format("a TensorFlow Lite model", (".tflite",), _is_tflite, _tflite),
    Format("a torch.export program", (".pt2",), _is_torch_program, _torch_program),
)
"""What can be converted; the first that matches counts."""

_PICKLE = (
    "Pickles run code when they are opened, and hold no graph that could be read. In Python, load the "
    "model as its author does, and export it: torch.onnx.export(model, example_inputs, 'model.onnx'), or "
    "torch.export.save(torch.export.export(model, example_inputs), 'model.pt2'); or give the model itself to "
    "onnxprune.prune(model, example_inputs=...)."
)
_WEIGHTS = "It holds weights without a network. Build the network, load them, and export it to ONNX."
REFUSED: tuple[Refusal, ...] = (
    Refusal(
        "a pickle, as torch.save writes it",
        (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib"),
        _is_pickle,
        _PICKLE,
    ),
    Refusal("a file of weights", (".safetensors", ".npz", ".npy"), _never, _WEIGHTS),
    Refusal(
        "a frozen TensorFlow graph",
        (".pb", ".pbtxt"),
        _never,
        "Give the SavedModel folder; a frozen graph is converted by 'python -m tf2onnx.convert --graphdef'.",
    ),
)
"""What is not opened, however it is spelled."""


def format_of(path: Path) -> Format | None:
    """What is to convert a file or folder; None where it has to be ONNX.

    Raises:
        InputError: it is of a kind that is refused, or not what its suffix says.
    """
    suffix = path.suffix.lower()
    if suffix == ".onnx" or not path.exists():
        return None
    peek = Peek(path)
    try:
        found = next((known for known in FORMATS if known.matches(peek)), None)
        refused = next((known for known in REFUSED if known.matches(peek)), None)
    except OSError:
        return None  # load_model says what is wrong with it
    if found is not None:
        return found
    refused = refused or next((known for known in REFUSED if suffix in known.suffixes), None)
    if refused is not None:
        raise InputError(f"{quoted(path)} is {refused.name}, which is not opened.", hint=refused.hint)
    said = next((known for known in FORMATS if suffix in known.suffixes), None)
    if said is not None and path.stat().st_size:
        raise InputError(
            f"{quoted(path)} is not {said.name}, whatever its suffix says.",
            hint="It is cut short, damaged, or of another format; save or download it again.",
        )
    return None
