"""Arrays in ``.npz`` and ``.npy`` files, read row by row so that a file may be larger than the memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from onnxprune.calibration.tables import ArrayColumn, Column, Field
from onnxprune.coupling.groups import Indices
from onnxprune.errors import InputError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted

_SUFFIX = ".npy"
_LOCAL_HEADER = 30
"""Bytes of a zip member's own header, before its name and extra field; their lengths end it."""

_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, OverflowError, SyntaxError)
"""What zipfile and NumPy raise over files that are damaged, encrypted or of another kind."""

MOST_TIMES, ALWAYS = 200, 256 << 20
"""How many times its own size an archive may unpack to, and how many bytes any may."""

NUMBERS = "biuf"
"""Kinds of element types that samples may have: truth values, whole numbers, floats."""

_HEADERS: Mapping[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype]]] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Header:
    """What a ``.npy`` header says.

    Attributes:
        shape: of the array.
        by_column: whether it is stored in Fortran order.
        dtype: of its elements.
        start: where the values begin, in bytes behind the start of the member.
    """

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype
    start: int


class NpzFile:
    """The arrays of an ``.npz`` file, of which only the headers are read here.

    Args:
        path: of the file.

    Raises:
        InputError: it is no such file, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path), zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(_SUFFIX)]
            _check_archive(members, path)
            self._members = {info.filename.removesuffix(_SUFFIX): info for info in members}
            self.headers: dict[str, Header] = {}
            for name, info in self._members.items():
                with archive.open(info) as file:
                    self.headers[name] = _header(file, path, name)

    def column(self, name: str) -> Column:
        """One array: mapped where it is stored as it is, streamed where it is compressed.

        Raises:
            InputError: it has no rows, or holds Python objects.
        """
        header, info = self.headers[name], self._members[name]
        _check(header, self.path, name)
        _check_length(header, info.file_size, self.path, name)
        with reading(self.path):
            if header.by_column:
                with np.load(self.path) as archive:
                    return ArrayColumn(np.ascontiguousarray(archive[name]), name)
            if info.compress_type == zipfile.ZIP_STORED:
                return ArrayColumn(_mapped(self.path, info, header), name)
        return StreamedColumn(self.path, info.filename, header, name)


class StreamedColumn:
    """An array that is compressed in an ``.npz`` file; reading it again unpacks it again.

    Args:
        path: of the file.
        member: name within it.
        header: of the member.
        origin: name in messages.
    """

    def __init__(self, path: Path, member: str, header: Header, origin: str) -> None:
        self._path = path
        self._member = member
        self._start = header.start
        self.count = header.shape[0]
        self.field = Field(header.shape[1:], header.dtype, origin)

    def read(self, rows: Indices, size: int) -> Iterator[Array]:
        """The given rows, ascending; the rest is unpacked and dropped on the way."""
        with reading(self._path), zipfile.ZipFile(self._path) as archive, archive.open(self._member) as file:
            for start in range(0, len(rows), size):
                yield self._rows(file, rows[start : start + size])

    def _rows(self, file: IO[bytes], rows: Indices) -> Array:
        field = self.field
        values = np.empty((len(rows), *field.shape), field.dtype)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        done = 0
        for run in np.split(rows, breaks):
            file.seek(self._start + int(run[0]) * field.nbytes)
            data = file.read(len(run) * field.nbytes)
            if len(data) < len(run) * field.nbytes:
                raise EOFError("it ends too early")
            values[done : done + len(run)] = np.frombuffer(data, field.dtype).reshape(-1, *field.shape)
            done += len(run)
        return values


def npy_column(path: Path) -> Column:
    """The array of an ``.npy`` file, mapped.

    Raises:
        InputError: it is no such file, or damaged.
    """
    with reading(path):
        with path.open("rb") as file:
            header = _header(file, path, path.name)
        _check(header, path, path.name)
        _check_length(header, path.stat().st_size, path, path.name)
        return ArrayColumn(np.load(path, mmap_mode="r"), path.name)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong in a file into an error that names it.

    Raises:
        InputError: in place of what the libraries raise.
    """
    try:
        yield
    except _FAILURES as exc:
        raise InputError(
            f"{quoted(path)} cannot be read: {exc}.",
            hint="It has to be a file as numpy.savez writes it, and complete.",
        ) from exc


def _header(file: IO[bytes], path: Path, name: str) -> Header:
    version = npy_format.read_magic(file)
    if version not in _HEADERS:
        raise InputError(
            f"The array {quoted(name)} in {quoted(path)} has fields with names, which no model takes."
        )
    shape, by_column, dtype = _HEADERS[version](file)
    return Header(shape, by_column, dtype, file.tell())


def _check(header: Header, path: Path, name: str) -> None:
    where = f"The array {quoted(name)} in {quoted(path)}"
    if header.dtype.hasobject:
        raise InputError(
            f"{where} holds Python objects, which are not loaded, as that could run code.",
            hint="Store an array of numbers: samples of equal shape along the first axis.",
        )
    if header.dtype.kind not in NUMBERS:
        raise InputError(f"{where} holds {header.dtype} values, no numbers.")
    if not header.shape or not header.shape[0]:
        raise InputError(f"{where} has no samples: its shape is {header.shape}.")


def _check_length(header: Header, stored: int, path: Path, name: str) -> None:
    """Compare what a header says with the bytes that there are, before anything is allocated for it."""
    stated = prod(header.shape) * header.dtype.itemsize
    if min(header.shape) < 0 or header.start + stated > stored:
        raise InputError(
            f"The array {quoted(name)} in {quoted(path)} has {stored - header.start:,} bytes of values, its "
            f"shape {list(header.shape)} takes {stated:,}.",
            hint="It has to be a file as numpy.savez writes it, and complete.",
        )


def _check_archive(members: Iterable[zipfile.ZipInfo], path: Path) -> None:
    """Refuse an archive that unpacks to far more than its size."""
    unpacked, stored = sum(info.file_size for info in members), path.stat().st_size
    if unpacked > max(ALWAYS, MOST_TIMES * stored):
        raise InputError(
            f"{quoted(path)} has {stored:,} bytes and unpacks to {unpacked:,}, which no samples do.",
            hint="Store the arrays with numpy.savez, without compression, if they are meant to be so.",
        )


def _mapped(path: Path, info: zipfile.ZipInfo, header: Header) -> Array:
    with path.open("rb") as file:
        file.seek(info.header_offset)
        local = file.read(_LOCAL_HEADER)
    name, extra = (int.from_bytes(local[k : k + 2], "little") for k in (26, 28))
    start = info.header_offset + _LOCAL_HEADER + name + extra + header.start
    return np.memmap(path, header.dtype, "r", start, header.shape)
