"""Results as files, or weighed where none is wanted."""

from __future__ import annotations

from dataclasses import replace
from hashlib import file_digest
from pathlib import Path

from onnxprune.model import Model, save_model
from onnxprune.model.save import data_path
from onnxprune.report import measure


def written(model: Model, path: Path | None) -> Model:
    """The model with its file's size and digest; without a path, with the size that it would have.

    Args:
        model: to write.
        path: where, None for nowhere.

    Raises:
        OutputError: it cannot be written there.
    """
    if path is None:
        return replace(model, nbytes=measure.file_bytes(model), sha256="")
    nbytes = save_model(model, path)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return replace(model, path=path, nbytes=nbytes, sha256=digest)


def take_back(model: Model) -> None:
    """Remove the files of a model that this run has written: a run that fails leaves no output."""
    if model.path is None or not model.sha256:
        return
    if model.path.stat().st_size != model.nbytes:
        data_path(model.path).unlink()
    model.path.unlink()
