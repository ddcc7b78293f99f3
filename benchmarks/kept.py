"""What long benchmarks have measured already, kept on disk so that they go on where they were interrupted."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from onnxprune import __version__


class Kept:
    """Values that were measured, a file each, by what they were measured of and the version of the package.

    Args:
        folder: of the files. Remove it after a change that moves the values.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def holds(self, what: Sequence[Any]) -> bool:
        """Whether the value of this is kept."""
        return self._path(what).is_file()

    def get(self, what: Sequence[Any], measured: Callable[[], Any]) -> Any:
        """The value that is kept of this, else the one that is measured now.

        Args:
            what: tells the value from all others; of what JSON can hold.
            measured: returns the value, of what JSON can hold.
        """
        path = self._path(what)
        if not path.is_file():
            value = measured()
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}.part")
            unfinished.write_text(json.dumps(value))
            unfinished.replace(path)
        return json.loads(path.read_text())

    def _path(self, what: Sequence[Any]) -> Path:
        key = sha256(json.dumps([__version__, *what], sort_keys=True).encode()).hexdigest()
        return self._folder / f"{key[:32]}.json"
