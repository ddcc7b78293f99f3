"""Archives and HDF5 files that are small on the disk and large, or somewhere else, once they are read."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onnxprune.errors import InputError
from onnxprune.frontends.extras import require
from onnxprune.model.naming import quoted

MOST_TIMES = 100
"""How many times its own size a file may unpack to; weights hardly compress at all."""
ALWAYS = 64 << 20
"""Bytes that any file may unpack to."""
MOST_JSON = 64 << 20
"""Bytes of an architecture or a graph in JSON."""

_OWN = "Save the model again where it was made; weights are stored as they are, without compression."
_ONE_FILE = "Save the model again where it was made, all of it in one file."


def check_archive(path: Path, where: str) -> None:
    """Refuse a zip archive that unpacks to far more than its size.

    Raises:
        InputError: it does.
        zipfile.BadZipFile: it is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        total = sum(entry.file_size for entry in archive.infolist())
    _check_size(total, path.stat().st_size, where)


def parsed_json(data: bytes | str, where: str) -> Any:
    """What a JSON text out of a file says.

    Raises:
        InputError: it nests deeper than anything that is meant to be read.
        ValueError: it is no JSON.
    """
    if len(data) > MOST_JSON:
        raise InputError(f"{where} holds {len(data):,} bytes of JSON, far more than any network.", hint=_OWN)
    try:
        return json.loads(data)
    except RecursionError as exc:
        raise InputError(f"{where} holds JSON that nests too deeply to be read.", hint=_OWN) from exc


def check_hdf5(path: Path, where: str) -> None:
    """Refuse an HDF5 file whose data lie in other files, or that states far more than it holds.

    Links to other files, and data sets stored in or put together from them, would be read wherever they
    point, and end up in the result.

    Raises:
        InputError: it is of that kind.
        OSError: it is damaged.
    """
    h5py = require("h5py", f"Reading {where}")
    total = 0
    with h5py.File(path) as file:
        for name, link, found in _members(file, h5py):
            if isinstance(link, h5py.ExternalLink):
                raise InputError(
                    f"{where} has a link to another file, {quoted(link.filename)} ({quoted(name)}), which "
                    "is not followed.",
                    hint=_ONE_FILE,
                )
            if found is None:
                continue
            if found.external or found.is_virtual:
                raise InputError(
                    f"{where} keeps {quoted(name)} in another file, which is not opened.", hint=_ONE_FILE
                )
            total += found.nbytes
    _check_size(total, path.stat().st_size, where)


def _members(file: Any, h5py: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, link and data set (None for what is none) of everything in a file, each object once."""
    seen: set[Any] = set()
    work = [("", file)]
    while work:
        prefix, group = work.pop()
        for key in group:
            name = f"{prefix}/{key}"
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                yield name, link, None
                continue
            found = group[key]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(found, h5py.Group):
                work.append((name, found))
            yield name, link, found if isinstance(found, h5py.Dataset) else None


def _check_size(unpacked: int, stored: int, where: str) -> None:
    if unpacked > max(ALWAYS, MOST_TIMES * stored):
        raise InputError(
            f"{where} has {stored:,} bytes and unpacks to {unpacked:,}, which no model does.", hint=_OWN
        )
