"""Save a model: in one step, in one file or with one data file beside it, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

from onnx import TensorProto

from onnxprune.errors import OutputError
from onnxprune.model import stream, wire
from onnxprune.model.assemble import hollow
from onnxprune.model.constants import Constant
from onnxprune.model.files import replacing
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted

LARGEST_SINGLE_FILE = 1 << 30
"""Results of more bytes get a data file; protobuf itself ends at twice this."""
_SMALLEST_EXTERNAL = 1024
_ALIGNMENT = 64
_PAGE = 4096
_LARGE = 1 << 20
"""Tensors of this many bytes start on a page, so that a runtime can map them by themselves."""


class Digest(Protocol):
    """What ``hashlib`` gives; its own type has a private name."""

    def update(self, data: wire.Piece, /) -> None:
        """Take more bytes in."""


@dataclass(frozen=True)
class Saved:
    """What was written of a model.

    Attributes:
        nbytes: bytes, external data included.
        sha256: of the model file, in hexadecimal.
    """

    nbytes: int
    sha256: str


def save_model(model: Model, path: Path, *, largest_single_file: int = LARGEST_SINGLE_FILE) -> int:
    """Write a model and return the bytes written, external data included.

    Models whose source has external data, and those over ``largest_single_file`` bytes, get one data
    file named ``<name>.data`` beside them, unless every tensor is small. Nothing is left behind when it
    fails. The same model gives the same bytes.

    Raises:
        OutputError: where the file cannot be written there, or would replace the source.
    """
    (saved,) = save_together([(model, Path(path))], largest_single_file=largest_single_file)
    return saved.nbytes


def save_together(
    models: Sequence[tuple[Model, Path]], *, largest_single_file: int = LARGEST_SINGLE_FILE
) -> list[Saved]:
    """Write models into one folder, all of them or none, as ``save_model`` does.

    Raises:
        OutputError: where a file cannot be written there, or would replace the source.
    """
    files: dict[Path, Iterable[wire.Piece]] = {}
    for model, path in models:
        check_output(path, model)
        files.update(_contents(model, path, largest_single_file))
    digests = {path: sha256() for _, path in models}
    sizes = _write_all(files, digests)
    return [
        Saved(sizes[path] + sizes.get(data_path(path), 0), digests[path].hexdigest()) for _, path in models
    ]


def _contents(model: Model, path: Path, largest: int) -> dict[Path, Iterable[wire.Piece]]:
    """What goes into the files of a model, the model file last."""
    pieces = [] if model.external else stream.pieces(model, stream.inline)
    if not model.external and wire.length_of(pieces) <= largest:
        return {path: pieces}
    layout = _Layout(data_path(path).name)
    pieces = stream.pieces(model, layout.tensor)
    return {path: pieces} if layout.is_empty else {data_path(path): layout.data(), path: pieces}


def data_path(path: Path) -> Path:
    """Where the external data of an output go."""
    return path.with_name(path.name + ".data")


def check_output(path: Path, source: Model) -> None:
    """Refuse an output that cannot be written, or that is a file of the source.

    Raises:
        OutputError: for a folder, a missing or read-only folder, a device, or a file of the source.
    """
    folder = path.parent
    _check_path(path)
    if path.is_dir():
        raise OutputError(f"{quoted(path)} is a folder.", hint="Give the name of the file to write.")
    if not folder.is_dir():
        raise OutputError(f"The folder {quoted(folder)} does not exist.", hint="Create it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"The folder {quoted(folder)} cannot be written to.", hint="Choose another one.")
    for target in (path, data_path(path)):
        if target.exists() and not target.is_file():
            raise OutputError(f"{quoted(target)} is not a plain file.", hint="Choose another name.")
        for used in (source.path, *source.external):
            if used is not None and _same_file(target, used):
                raise OutputError(
                    f"{quoted(target)} is a file of the source model, which is never overwritten.",
                    hint="Choose another output.",
                )


def _check_path(path: Path) -> None:
    """Refuse what the file system does not take as a path at all."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise OutputError(f"{quoted(path)} cannot be used: {reason}.", hint="Choose another name.") from exc


def _same_file(first: Path, second: Path) -> bool:
    """Whether two paths mean one file, by symbolic or hard link too."""
    try:
        return first.samefile(second)
    except OSError:
        return False


class _Layout:
    """Where each tensor goes in the data file, in graph order."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._end = 0
        self._placed: list[tuple[int, Constant]] = []

    @property
    def is_empty(self) -> bool:
        """Whether every tensor was too small for the data file."""
        return not self._placed

    def tensor(self, tensor: TensorProto, constant: Constant) -> list[wire.Piece]:
        """Write a large tensor as a reference into the data file, any other inline."""
        nbytes = stream.raw_size(constant)
        if nbytes is None or nbytes < _SMALLEST_EXTERNAL:
            return stream.inline(tensor, constant)
        step = _PAGE if nbytes >= _LARGE else _ALIGNMENT
        offset = -(-self._end // step) * step
        self._placed.append((offset, constant))
        self._end = offset + nbytes
        shell = TensorProto()
        shell.CopyFrom(tensor)
        hollow(shell, constant)
        shell.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._location), ("offset", offset), ("length", nbytes)):
            shell.external_data.add(key=key, value=str(value))
        return [shell.SerializeToString(deterministic=True)]

    def data(self) -> Iterable[wire.Piece]:
        """The data file, one tensor at a time."""
        end = 0
        for offset, constant in self._placed:
            yield bytes(offset - end)
            raw = stream.raw_bytes(constant)
            yield raw
            end = offset + len(raw)


def _write_all(files: Mapping[Path, Iterable[wire.Piece]], digests: Mapping[Path, Digest]) -> dict[Path, int]:
    """Write files that belong together, all of them or none; returns their bytes and feeds the digests."""
    if not files:
        return {}
    try:
        with replacing(*files) as targets:
            return {
                path: sum(_write(target, files[path], digests.get(path)))
                for path, target in zip(files, targets, strict=True)
            }
    except OSError as exc:
        raise OutputError(
            f"{quoted(list(files)[-1])} cannot be written: {exc.strerror or exc}.",
            hint="Check the free space and the permissions of its folder.",
        ) from exc


def _write(target: BinaryIO, pieces: Iterable[wire.Piece], digest: Digest | None) -> Iterator[int]:
    for piece in pieces:
        if digest is not None:
            digest.update(piece)
        yield target.write(piece)
