"""What a run that was stopped has left, and whether all of it is whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from hashlib import sha256
from pathlib import Path

TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{12}\.tmp")
MEASURED_TIME = re.compile(rb'"seconds": [0-9.e-]+')

Files = Mapping[str, str]


def contents(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file by name; times that a sweep has measured are left out of its JSON."""
    return {
        str(path.relative_to(folder)): sha256(_compared(path)).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _compared(path: Path) -> bytes:
    content = path.read_bytes()
    return MEASURED_TIME.sub(b"", content) if path.name == "sweep.json" else content


def but(files: Files, kept: Collection[str]) -> dict[str, str]:
    """Files without those by which a run that was stopped goes on, which grow and hold times.

    Args:
        files: of a folder.
        kept: how their names begin.
    """
    return {name: digest for name, digest in files.items() if not name.startswith(tuple(kept))}


def check_whole(files: Files, complete: Files, start: Files, kept: Collection[str] = ()) -> None:
    """Every file is one of the start or of the end; a model stands beside data that are its own.

    Args:
        files: that are there.
        complete: what a run leaves that comes to its end.
        start: what was there before.
        kept: how the names of files begin that may be there too; that they are whole shows in the next run.
    """
    for name, digest in but(files, kept).items():
        if match := TEMPORARY.fullmatch(Path(name).name):
            assert str(Path(name).with_name(match[1])) in complete
        else:
            assert digest in (complete.get(name), start.get(name)), name
    for name in start.keys() - complete.keys():
        assert name in files
    model, data = files.get("out.onnx"), files.get("out.onnx.data")
    if data is not None and model is not None:
        ends = [side for side in (complete, start) if side.get("out.onnx") == model]
        assert any(side.get("out.onnx.data") == data for side in ends)
