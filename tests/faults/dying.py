"""Runs a command again and again in forks of this process, each of which dies at the next change of a file.

    python dying.py SIGNAL EARLIER ARGUMENT...

In a fresh copy of the working folder the command runs in a child that sends itself SIGNAL just before the
first file is opened for writing, renamed or removed there; then another child does so before the second; and so on,
until one comes to its end. After each the folder is looked at; after each death the command is run to its end.
EARLIER is ``none``, or the name of a folder with the files of an earlier output. Prints a JSON list, an object
a child: ``code`` (minus the signal where it was killed), ``event``, ``files`` (name to SHA-256) after it,
``again`` (the same after the next run).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import onnxruntime  # noqa: F401 - what every child needs is loaded once
from leavings import contents

from onnxprune.api import running  # noqa: F401
from onnxprune.cli import app, main  # noqa: F401
from onnxprune.report import html, terminal  # noqa: F401

WRITING = os.O_WRONLY | os.O_RDWR
JOURNAL = ("study.log", ".lock")
"""How the names of files end, with what is added, that grow line by line and not as a whole, and of locks."""


def at_change(number: int, wanted: int, folder: Path) -> None:
    """Send this process a signal before a change."""
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event == "open":
            path, _, flags = arguments
            if not flags & WRITING:
                return
        elif event in ("os.rename", "os.remove"):
            path = arguments[0]
        else:
            return
        if not isinstance(path, str | os.PathLike) or folder not in Path(path).absolute().parents:
            return
        if any(part in Path(path).name for part in JOURNAL):
            return
        seen += 1
        if seen == wanted:
            (folder.parent / "event").write_text(f"{event} {Path(path).name}")
            os.kill(os.getpid(), number)

    sys.addaudithook(hook)


def child(arguments: list[str], number: int | None, wanted: int) -> int:
    """Run the command in a fork; its exit code, minus the signal that killed it."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        if number is not None:
            at_change(number, wanted, Path.cwd())
        os._exit(main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def trial(source: Path, earlier: str, arguments: list[str], number: int, wanted: int) -> dict:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "work"
        shutil.copytree(source, folder)
        if earlier != "none":
            shutil.copytree(source / earlier, folder, dirs_exist_ok=True)
        os.chdir(folder)
        event = folder.parent / "event"
        code = child(arguments, number, wanted)
        found = {
            "code": code,
            "event": event.read_text() if event.exists() else "",
            "files": contents(Path()),
        }
        if found["event"]:
            assert child(arguments, None, 0) == 0
            found["again"] = contents(Path())
        for given in source.glob("*.*"):
            assert (folder / given.name).stat().st_mtime_ns == given.stat().st_mtime_ns, (
                "an input was touched"
            )
        os.chdir(source)
        return found


def run(name: str, earlier: str, arguments: list[str]) -> list[dict]:
    found, source = [], Path.cwd()
    while not found or found[-1]["event"]:
        found.append(trial(source, earlier, arguments, getattr(signal, name), len(found) + 1))
    return found


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], sys.argv[2], sys.argv[3:])))
