"""Where a training stands, in a file that is replaced in one step."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch

from onnxprune.calibration import Samples
from onnxprune.errors import OutputError, UsageError
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.training import CHECKPOINT

FORMAT = 1

_HASHED = 1 << 28
"""Bytes of samples that tell data apart; more need not be read for it."""


class Checkpoint:
    """The checkpoint of a run folder.

    Args:
        folder: of the run; it is made where it is missing. None keeps nothing.
        key: of model, data and settings: another run has another.
    """

    def __init__(self, folder: Path | None, key: str) -> None:
        self._path = None if folder is None else folder / CHECKPOINT
        self._key = key
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise _unwritable(folder, exc) from exc

    @property
    def kept(self) -> bool:
        """Whether anything is written."""
        return self._path is not None

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state; a process that is killed meanwhile leaves the one before.

        Raises:
            OutputError: it cannot be written.
        """
        if self._path is None:
            return
        unfinished = self._path.with_suffix(".part")
        try:
            with unfinished.open("wb") as file:
                torch.save({"format": FORMAT, "key": self._key, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(self._path)
        except (OSError, RuntimeError) as exc:
            raise _unwritable(self._path, exc) from exc

    def load(self, *, restart: bool = False) -> dict[str, Any] | None:
        """The state of an earlier run with the same model, data and settings; None where there is none.

        Raises:
            UsageError: it is that of another run.
        """
        if self._path is None or restart or not self._path.is_file():
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of pickles that torch has not written, and that it refuses
                state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
            same = state["format"] == FORMAT and state["key"] == self._key
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as exc:
            raise self._refused("cannot be read") from exc
        if not same:
            raise self._refused("is that of a run with another model, other data or other settings")
        return state

    def _refused(self, why: str) -> UsageError:
        return UsageError(
            f"The checkpoint {quoted(self._path)} {why}.",
            hint="Give that run's options to go on with it, --restart to begin anew in its place, or another "
            "--run-folder.",
        )


def run_key(
    models: Mapping[str, Model | None], samples: Mapping[str, Samples | None], about: Mapping[str, Any]
) -> str:
    """A checksum of everything that a result depends on.

    Args:
        models: by role.
        samples: by role.
        about: settings, as JSON holds them.
    """
    found = blake2b(digest_size=16)
    found.update(json.dumps({**about, "torch": torch.__version__}, sort_keys=True).encode())
    for role, model in models.items():
        found.update(role.encode())
        if model is not None:
            found.update(model.proto.SerializeToString(deterministic=True))
            for name in sorted(model.constants):
                values = np.ascontiguousarray(model.constants[name].values())
                found.update(name.encode() + values.view(np.uint8).tobytes())
    for role, own in samples.items():
        found.update(role.encode())
        if own is not None:
            _add_samples(found, own)
    return found.hexdigest()


def _add_samples(found: Any, samples: Samples) -> None:
    found.update(f"{samples.count} {samples.labelled}".encode())
    left = _HASHED
    for batch in samples.batches(256):
        arrays = [*batch.feed.values(), *([] if batch.labels is None else [batch.labels])]
        for values in arrays:
            found.update(np.ascontiguousarray(values).tobytes())
            left -= values.nbytes
        if left < 0:
            return


def _unwritable(path: Path, exc: Exception) -> OutputError:
    why = getattr(exc, "strerror", None) or str(exc).splitlines()[0]
    return OutputError(f"The checkpoint {quoted(path)} cannot be written: {why}.", hint="Is the disk full?")
