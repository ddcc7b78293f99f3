"""Files that appear whole or not at all: written beside their place under another name, then renamed.

A process that is killed leaves at most such a file of another name, ``.<name>.<12 hex digits>.tmp``. Its
writer holds a lock on it, which ends with the process, so the next one that writes ``<name>`` tells it from
the file of a run that is still at work, and removes it. Where the file system or the platform has no such
locks, leftovers stay until somebody removes them.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_PATIENCE, _PAUSE = 10.0, 0.02
"""Seconds that a folder in use is waited for, and between two looks at it."""
_UNIQUE = 6


@contextlib.contextmanager
def replacing(*paths: Path) -> Iterator[Sequence[BinaryIO]]:
    """Files to write, all of which take the places of the given ones when the block ends well.

    Several files belong together: no other process that writes by this function comes between, and at no
    moment, not even after a kill, is the last one in place beside another version of the others. Where
    anything fails, in the block or at its end, all is as it was before.

    Args:
        paths: in one folder; the last is the one that refers to the others.

    Raises:
        OSError: a file cannot be made, or put in place.
    """
    folder = paths[0].parent
    _clear(folder, paths)
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(_temporary(path)) for path in paths]
        yield [file for _, file in made]
        for _, file in made:
            file.flush()
            if fcntl is None:  # an open file cannot be renamed there
                file.close()
        names = [name for name, _ in made]
        if len(paths) == 1:
            names[0].replace(paths[0])
            return
        with alone(folder):
            _put(names, paths)


def write_whole(path: Path, content: bytes) -> None:
    """Write one file in one step.

    Raises:
        OSError: it cannot be written; what was there before still is.
    """
    with replacing(path) as (file,):
        file.write(content)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes that ask the same out of a folder for a short while.

    A folder that stays in use for ten seconds is used all the same: whoever holds it, such as a shell
    that runs this very process under a lock, may never let go.

    Args:
        folder: that exists.
    """
    with _opened(folder) as descriptor:
        end = time.monotonic() + _PATIENCE
        while _lock(descriptor) is False and time.monotonic() < end:
            time.sleep(_PAUSE)
        yield


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file beside a path, locked; gone at the end unless it was renamed."""
    while True:
        name = _beside(path)
        with name.open("xb") as file:
            try:
                taken = _lock(file.fileno()) is False
                if fcntl is not None and (taken or os.fstat(file.fileno()).st_nlink == 0):
                    continue  # taken for a leftover before it was locked
                yield name, file
            finally:  # after an interrupt as well
                with contextlib.suppress(OSError):
                    name.unlink(missing_ok=True)
            return


def _put(names: Sequence[Path], paths: Sequence[Path]) -> None:
    """Rename all, the last one at the end; what was there is moved out of the way first, that one first."""
    aside: dict[Path, Path] = {}
    placed: list[Path] = []
    with contextlib.ExitStack() as held:
        try:
            for path in reversed(paths):
                if os.path.lexists(path) and not path.is_dir():
                    _lock(held.enter_context(_opened(path)))  # or it would be taken for a leftover
                    aside[path] = _beside(path)
                    path.replace(aside[path])
            for name, path in zip(names, paths, strict=True):
                name.replace(path)
                placed.append(path)
        except BaseException:
            for path in reversed(placed):
                path.unlink(missing_ok=True)
            for path, old in reversed(aside.items()):
                with contextlib.suppress(FileNotFoundError):
                    old.replace(path)
            raise
        for old in aside.values():
            old.unlink()


def _clear(folder: Path, paths: Sequence[Path]) -> None:
    """Remove what processes that were killed have left of these files."""
    if fcntl is None:
        return
    leftover = re.compile("|".join(rf"\.{re.escape(p.name)}\.[0-9a-f]{{{2 * _UNIQUE}}}\.tmp" for p in paths))
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if leftover.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_unused(Path(entry.path))


def _remove_unused(path: Path) -> None:
    with contextlib.suppress(OSError), _opened(path) as descriptor:
        if _lock(descriptor):  # certain that nobody writes it
            path.unlink()


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(_UNIQUE)}.tmp")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A descriptor to lock, None where folders cannot be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int | None) -> bool | None:
    """Try to lock for the life of the descriptor; None where nothing can be said."""
    if fcntl is None or descriptor is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True
