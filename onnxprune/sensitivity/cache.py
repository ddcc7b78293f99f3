"""Keeps what was measured, so that a scan can be stopped, resumed, and extended.

A figure depends on the model, on the samples as they are fed, and on which units of the group stay.
These three are the key; ratio and criterion matter only by the units that they choose, so another
criterion that keeps the same ones finds their figures here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.errors import OutputError
from onnxprune.evaluation import Figure
from onnxprune.model.files import alone, write_whole
from onnxprune.model.model import Model
from onnxprune.model.stream import inline, pieces

VERSION = 1
"""Raised when figures would be measured differently, so that older ones are not taken."""


def default_folder(kind: str = "sensitivity") -> Path:
    """Where the platform wants caches of a user; each kind of figures has its folder there."""
    home = Path.home()
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "onnxprune" / kind


def digest_of(model: Model) -> str:
    """What a model is: graph and weights, wherever these are stored."""
    digest = sha256()
    for piece in pieces(model, inline):
        digest.update(piece)
    return digest.hexdigest()


def open_cache(
    folder: str | os.PathLike[str] | None, model: Model, samples: str, output: str | None
) -> Cache:
    """The cache of a model on some samples.

    Args:
        folder: where it is; None keeps figures in memory only.
        model: that is measured.
        samples: digest of the samples as they are fed.
        output: name of the output with the scores of the classes, None for the first that can be one.

    Raises:
        OutputError: the folder cannot be made.
    """
    key = {"model": digest_of(model), "samples": samples, "output": output}
    return Cache(None if folder is None else Path(folder), key)


class Cache:
    """The figures of one model on some samples, in one file.

    Args:
        folder: where the file is; made where it is missing. None keeps figures in memory only.
        key: what the figures depend on beside group and units: digests by name.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path | None, key: Mapping[str, Any]) -> None:
        self._key = {"version": VERSION, **key}
        self._path: Path | None = None
        self._points: dict[str, dict[str, Any]] = {}
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise _unusable(folder, exc) from exc
        name = sha256(json.dumps(self._key, sort_keys=True).encode()).hexdigest()
        self._path = folder / f"{name}.json"
        self._points = _read(self._path, self._key)

    def get(self, group: str, kept: Indices) -> Mapping[str, Figure] | None:
        """The figures of a choice of units, None where it was never measured."""
        found = self._points.get(group, {}).get(_name(kept))
        if found is None:
            return None
        return {name: Figure(*values) for name, values in found["figures"].items()}

    def how(self, group: str, kept: Indices) -> tuple[str, str]:
        """How a choice was measured, and why not otherwise."""
        found = self._points.get(group, {}).get(_name(kept), {})
        return found.get("how", ""), found.get("note", "")

    def put(self, group: str, kept: Indices, figures: Mapping[str, Figure], *, how: str, note: str) -> None:
        """Take figures in; ``save`` writes them."""
        values = {name: [f.value, f.low, f.high] for name, f in figures.items()}
        entry = {"kept": len(kept), "how": how, "note": note, "figures": values}
        self._points.setdefault(group, {})[_name(kept)] = entry

    def save(self) -> None:
        """Write everything in one step, with what other processes have written meanwhile.

        Raises:
            OutputError: it cannot be written.
        """
        if self._path is None:
            return
        try:
            with alone(self._path.parent):
                for group, others in _read(self._path, self._key).items():
                    self._points[group] = {**others, **self._points.get(group, {})}
                write_whole(self._path, json.dumps({"key": self._key, "points": self._points}).encode())
        except OSError as exc:
            raise _unusable(self._path.parent, exc) from exc


def _read(path: Path, key: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a file holds; one that is not there or not whole holds nothing."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("key") != key or not isinstance(found.get("points"), dict):
        return {}
    return {group: own for group, own in found["points"].items() if isinstance(own, dict)}


def _name(kept: Indices) -> str:
    return sha256(np.ascontiguousarray(kept, np.int64).tobytes()).hexdigest()[:32]


def _unusable(folder: Path, exc: OSError) -> OutputError:
    return OutputError(
        f"The cache cannot be kept in {str(folder)!r}: {exc.strerror or exc}.",
        hint="Name another folder with --cache, or do without: --cache off.",
    )
