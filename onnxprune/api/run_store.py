"""What a run of several steps keeps, so that the same command goes on where it was stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.calibration import Samples
from onnxprune.errors import OnnxPruneError, OutputError
from onnxprune.model import Model, load_model, save_model
from onnxprune.model.naming import quoted
from onnxprune.sensitivity import digest_of

_DIGITS = 16
_BATCH = 256


@dataclass(frozen=True)
class Store:
    """Models by name, each with an account; a name is there once both are whole.

    Attributes:
        folder: where they are, None keeps nothing.
    """

    folder: Path | None = None

    def load(self, name: str) -> tuple[Model, dict[str, Any]] | None:
        """A model and its account, None where they are not, or not whole."""
        if self.folder is None:
            return None
        try:
            account = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            path = self.folder / f"{name}.onnx"
            with path.open("rb") as file:
                whole = file_digest(file, "sha256").hexdigest() == account["sha256"]
            return (load_model(path), account["account"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError, OnnxPruneError):
            return None

    def save(self, name: str, model: Model, account: Mapping[str, Any]) -> Model:
        """Keep a model; gives it as it will be found again, so that a run that goes on equals a whole one.

        Raises:
            OutputError: it cannot be written.
        """
        if self.folder is None:
            return model
        path, note = self.folder / f"{name}.onnx", self.folder / f"{name}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            note.unlink(missing_ok=True)
            save_model(model, path)
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            unfinished = note.with_suffix(".part")
            unfinished.write_text(json.dumps({"sha256": digest, "account": account}), encoding="utf-8")
            unfinished.replace(note)
        except OSError as exc:
            raise OutputError(
                f"The run folder {quoted(self.folder)} cannot be written: {exc.strerror or exc}.",
                hint="Name another one with --run-folder.",
            ) from exc
        return load_model(path)

    def place(self, name: str) -> Path | None:
        """A folder of its own for a part of the run."""
        return None if self.folder is None else self.folder / name


def open_store(
    folder: Path | None,
    about: Mapping[str, Any],
    models: Mapping[str, Model | None],
    samples: Mapping[str, Samples | None],
    *,
    restart: bool = False,
) -> Store:
    """The store of a run in a folder that other runs may use too.

    Args:
        folder: of all runs, None keeps nothing.
        about: settings that decide the result, as JSON holds them.
        models: that it depends on, by role.
        samples: the same; those to train on are known by what is said of them, as training compares them.
        restart: whether what is there is thrown away.
    """
    if folder is None:
        return Store()
    digest = sha256(json.dumps(about, sort_keys=True, default=str).encode())
    for role, model in models.items():
        digest.update(f"{role} {'' if model is None else digest_of(model)}".encode())
    for role, own in samples.items():
        digest.update(role.encode())
        for batch in () if own is None else own.batches(_BATCH):
            for values in batch.feed.values():
                digest.update(np.ascontiguousarray(values).tobytes())
    own_folder = folder / digest.hexdigest()[:_DIGITS]
    if restart:
        shutil.rmtree(own_folder, ignore_errors=True)
    return Store(own_folder)
