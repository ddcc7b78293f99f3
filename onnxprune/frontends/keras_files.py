"""``.keras`` archives and ``.h5`` files, those of tf.keras 2 included, loaded without running their code."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from onnx import ModelProto

from onnxprune.errors import InputError
from onnxprune.frontends.backend import import_keras
from onnxprune.frontends.bombs import check_archive, check_hdf5, parsed_json
from onnxprune.frontends.extras import require
from onnxprune.frontends.failure import first_line
from onnxprune.frontends.keras_config import check_config, modernised
from onnxprune.frontends.quiet import quiet
from onnxprune.model.naming import quoted

_ARCHIVE, _HDF5 = (".keras",), (".h5", ".hdf5")
"""How Keras wants such files to be called."""

_CONFIG = "config.json"
_WEIGHTS_ONLY = (
    "Build the network in Python, call model.load_weights on this file, and save all of it: "
    "model.save('model.keras')."
)
_OBJECT = "Load it in Python and give the model in its stead: onnxprune.prune(model, ratio=...)."


def read(path: Path, opset: int | None) -> ModelProto:
    """Load and convert a Keras file.

    Raises:
        InputError: it is damaged, holds weights only, or holds code.
        MissingExtraError: Keras or what converts its models is not installed.
    """
    from onnxprune.frontends import keras_models

    return keras_models.read(load(path), None, opset)


def load(path: Path) -> Any:
    """The Keras model in a file, without its optimiser."""
    where = quoted(path)
    archive = zipfile.is_zipfile(path)
    config = _archive_config(path, where) if archive else _hdf5_config(path, where)
    new = _checked(config, where)
    _check_weights(path, archive, where)
    suffixes = _ARCHIVE if archive else _HDF5
    if new == config:
        return _loaded(path, where, suffixes)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"model{suffixes[0]}"
        (_rewrite_archive if archive else _rewrite_hdf5)(path, copy, json.dumps(new))
        return _loaded(copy, where, suffixes)


def _checked(config: object, where: str) -> Any:
    """The architecture as Keras 3 reads it, without anything that would run code."""
    try:
        new = modernised(config)
        check_config(new, where)
    except RecursionError as exc:
        raise InputError(f"The architecture in {where} nests too deeply to be read.", hint=_OBJECT) from exc
    return new


def _check_weights(path: Path, archive: bool, where: str) -> None:
    """Refuse weights that lie in other files, or are no more than a promise."""
    if not archive:
        check_hdf5(path, where)
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as source:
        for entry in source.infolist():
            if not entry.filename.endswith(_HDF5):
                continue
            copy = Path(folder) / "weights.h5"
            with source.open(entry) as packed, copy.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
            try:
                check_hdf5(copy, where)
            except OSError as exc:
                raise InputError(
                    f"{where} is not a complete Keras archive: {first_line(exc)}",
                    hint="Save it again with model.save.",
                ) from exc


def _rewrite_archive(path: Path, copy: Path, config: str) -> None:
    """A copy of an archive with another architecture."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w") as target:
        for entry in source.infolist():
            content = config.encode() if entry.filename == _CONFIG else source.read(entry)
            target.writestr(entry.filename, content)


def _rewrite_hdf5(path: Path, copy: Path, config: str) -> None:
    """A copy of an HDF5 file with another architecture."""
    shutil.copyfile(path, copy)
    with require("h5py", f"Reading {quoted(path)}").File(copy, "r+") as file:
        file.attrs["model_config"] = config


def _loaded(path: Path, where: str, suffixes: tuple[str, ...]) -> Any:
    """What Keras makes of a file; it goes by the suffix, so any other gets a copy with the right one."""
    if path.suffix not in suffixes:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / f"model{suffixes[0]}"
            shutil.copyfile(path, copy)
            return _loaded(copy, where, suffixes)
    keras = import_keras(f"Reading {where}")
    try:
        with quiet():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as exc:  # it raises whatever the deserialisation ran into
        raise InputError(f"Keras cannot load {where}: {first_line(exc)}", hint=_OBJECT) from exc


def _archive_config(path: Path, where: str) -> object:
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(path, where)
            return parsed_json(archive.read(_CONFIG), where)
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as exc:
        raise InputError(
            f"{where} is not a complete Keras archive: {first_line(exc)}",
            hint="Save it again with model.save.",
        ) from exc


def _hdf5_config(path: Path, where: str) -> object:
    h5py = require("h5py", f"Reading {where}")
    try:
        with h5py.File(path) as file:
            text = file.attrs.get("model_config")
    except OSError as exc:
        raise InputError(
            f"{where} is not a complete HDF5 file: {first_line(exc)}", hint="Save or download it again."
        ) from exc
    if text is None:
        raise InputError(f"{where} holds weights but no architecture.", hint=_WEIGHTS_ONLY)
    try:
        return parsed_json(text, where)
    except ValueError as exc:
        raise InputError(f"The architecture in {where} is not JSON.", hint=_WEIGHTS_ONLY) from exc
