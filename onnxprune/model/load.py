"""Load a model from a file, bytes, or memory."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TypeAlias

import onnx
from google.protobuf.message import DecodeError, EncodeError

from onnxprune.errors import InputError
from onnxprune.model import formats, wire
from onnxprune.model.detach import Detached, detach
from onnxprune.model.external import place_external
from onnxprune.model.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.validate import validate

Source: TypeAlias = str | os.PathLike[str] | bytes | onnx.ModelProto | Model

_PROTOBUF_LIMIT = 1 << 31
_SPLIT = "Save it with onnx.save(model, path, save_as_external_data=True) and give that path."


def load_model(source: Source) -> Model:
    """Load and check a model; weights stay in the file's bytes until they are read.

    Args:
        source: path of an ``.onnx`` file (external data beside it are found), the bytes of one, or a
            model in memory (which is not modified, nor referred to afterwards).

    Raises:
        InputError: where it is missing, damaged, or uses what cannot be supported.
    """
    if isinstance(source, Model):
        return source
    data = _bytes_of(source)
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    where = quoted(path) if path else "The model"
    detached = _detached(data, where)
    files, external_bytes = place_external(detached, path.parent if path else None)
    validate(detached, where)
    return Model(
        proto=detached.proto,
        constants=detached.constants(),
        path=path,
        nbytes=len(data) + external_bytes,
        sha256=hashlib.sha256(data).hexdigest(),
        external=files,
    )


def _bytes_of(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | os.PathLike):
        return _file_bytes(Path(source))
    if not isinstance(source, onnx.ModelProto):
        raise InputError(
            f"A model cannot be loaded from a {type(source).__name__}.",
            hint="Give the path of an .onnx file, its bytes, or an onnx.ModelProto.",
        )
    try:
        return bytes(source.SerializeToString(deterministic=True))
    except (EncodeError, ValueError) as exc:
        raise InputError(
            "The model in memory is over 2 GiB, more than protobuf can serialize.", hint=_SPLIT
        ) from exc


def _file_bytes(path: Path) -> bytes:
    where = quoted(path)
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size < _PROTOBUF_LIMIT:
            return path.read_bytes()
    except FileNotFoundError as exc:
        raise InputError(f"{where} does not exist.", hint="Check the path.") from exc
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise InputError(f"{where} cannot be read: {reason}.", hint="Check path and permissions.") from exc
    if stat.S_ISDIR(status.st_mode):
        found = sorted(inside.name for inside in path.glob("*.onnx"))
        hint = f"Give one of its files, such as {quoted(found[0])}." if found else "It holds no .onnx file."
        raise InputError(f"{where} is a folder, not a model.", hint=hint)
    if stat.S_ISREG(status.st_mode):
        raise InputError(f"{where} is over 2 GiB, more than one ONNX file can hold.", hint=_SPLIT)
    raise InputError(f"{where} is not a plain file.", hint="Give the path of an .onnx file.")


def _detached(data: bytes, where: str) -> Detached:
    if not data:
        raise InputError(f"{where} is empty (0 bytes).", hint="Export or download the model again.")
    reason = "it holds no graph"
    try:
        detached = detach(data)
        if detached.proto.HasField("graph"):
            return detached
        cause: Exception | None = None
    except (wire.WireError, DecodeError) as exc:
        reason, cause = str(exc), exc
    name, hint = formats.guess(data)
    if name:
        raise InputError(f"{where} is not an ONNX model but {name}.", hint=hint) from cause
    raise InputError(f"{where} is not a complete ONNX model: {reason}.", hint=hint) from cause
