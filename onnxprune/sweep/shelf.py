"""Results of single steps, by what they depend on: each is made once, by whichever process comes first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from onnxprune.errors import MissingExtraError, OutputError
from onnxprune.model.files import write_whole
from onnxprune.model.naming import quoted

VERSION = 1
"""Raised when a step would give something else, so that older results are not taken."""

GIVE_SWEEP = 'pip install "onnxprune[sweep]"'


class Shelf:
    """A folder of results that any number of processes share.

    Args:
        folder: where they are; made where it is missing.
        key: what all of them depend on: digests and settings.

    Raises:
        OutputError: the folder cannot be made.
        MissingExtraError: the package that locks files is not installed.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self._locks = folder / "locks"
        try:
            self._locks.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise unusable(folder, exc) from exc
        self.folder = folder
        self._key = {"version": VERSION, **key}

    def file(self, kind: str, key: Any, suffix: str, make: Callable[[Path], object]) -> Path:
        """The file of a step.

        Args:
            kind: name of the step.
            key: what it depends on beside the key of the shelf.
            suffix: of the file.
            make: writes the file in one step; called where nobody has made it yet.
        """
        text = json.dumps([self._key, kind, key], sort_keys=True)
        path = self.folder / f"{kind}-{sha256(text.encode()).hexdigest()[:32]}{suffix}"
        if path.exists():
            return path
        with self.alone(path.name):
            if not path.exists():
                make(path)
        return path

    def data(self, kind: str, key: Any, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """What a step says, as one JSON object; ``make`` is called where nobody has made it yet."""
        path = self.file(kind, key, ".json", lambda path: write_text(path, json.dumps(make())))
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def forget(self, kind: str, key: Any) -> None:
        """Let a step be done again."""
        text = json.dumps([self._key, kind, key], sort_keys=True)
        name = f"{kind}-{sha256(text.encode()).hexdigest()[:32]}.json"
        (self.folder / name).unlink(missing_ok=True)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep others out of the same for as long as it takes; a process that dies lets go."""
        with file_lock(self._locks / f"{name}.lock"):
            yield


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """A lock between processes, which the system opens when its holder dies.

    Raises:
        MissingExtraError: the package that locks files is not installed.
        OutputError: the file cannot be made.
    """
    try:
        from filelock import FileLock
    except ImportError as exc:
        raise MissingExtraError("A sweep needs filelock, which is not installed.", hint=GIVE_SWEEP) from exc
    try:
        lock = FileLock(path)
        lock.acquire()
    except OSError as exc:
        raise unusable(path.parent, exc) from exc
    try:
        yield
    finally:
        lock.release()


def write_text(path: Path, text: str) -> None:
    """Write a file in one step.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    try:
        write_whole(path, text.encode())
    except OSError as exc:
        raise unusable(path.parent, exc) from exc


def unusable(folder: Path, exc: OSError) -> OutputError:
    """The error for a folder in which nothing can be kept."""
    return OutputError(
        f"Results cannot be kept in {quoted(folder)}: {exc.strerror or exc}.",
        hint="Name another folder with -o.",
    )
