"""``.pt2`` files: torch.export programs, loaded without running anything that they hold.

``torch.export.load`` trusts a file: it unpickles objects, evaluates the text of symbolic sizes, makes
Python source from names, and calls any function of torch that a node names. Hence the archive is read
here first. What passes is copied into a new archive in memory, and only that is given to torch.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from onnx import ModelProto

from onnxprune.errors import InputError
from onnxprune.frontends.extras import require
from onnxprune.frontends.failure import converting, first_line
from onnxprune.frontends.program_text import UnsafeTextError, checked_program
from onnxprune.model.naming import quoted

_HEADERS = ("archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id")
_MODEL = "models/model.json"
_TENSORS = ("data/weights/", "data/constants/", "data/sample_inputs/model.pt")
_CONFIG = "_config.json"
_OBJECTS = ("custom_obj", "opaque_obj")

_AGAIN = (
    "Save it again with torch.export.save(torch.export.export(model, example_inputs), 'model.pt2') in torch 2.9 or "
    "newer, or export it to ONNX where it was made: torch.onnx.export(program, (), 'model.onnx')."
)


def read(path: Path, opset: int | None) -> ModelProto:
    """Convert a ``torch.export`` program.

    Raises:
        InputError: it is damaged or compiled, or holds objects or code.
        MissingExtraError: torch or its exporter is not installed.
        UsageError: the opset cannot be written.
    """
    from onnxprune.frontends.torch_modules import read_program

    where = quoted(path)
    torch = require("torch", f"Reading {where}")
    archive = checked_archive(path, where)
    with converting(where, _AGAIN):
        program = torch.export.load(archive)
    return read_program(program, opset)


def checked_archive(path: Path, where: str) -> io.BytesIO:
    """A copy of an archive that holds nothing but tensors and a graph.

    Raises:
        InputError: it holds anything else that is needed, or is damaged.
    """
    copy = io.BytesIO()
    try:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
            entries = {name.partition("/")[2]: name for name in source.namelist()}
            if _MODEL not in entries:
                raise InputError(f"{where} holds no exported program called 'model'.", hint=_AGAIN)
            for entry, name in entries.items():
                content = _checked(entry, source.read(name), where) if _is_needed(entry) else None
                if content is not None:
                    target.writestr(f"model/{entry}", content)
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(f"{where} is not a complete program: {first_line(exc)}", hint=_AGAIN) from exc
    copy.seek(0)
    return copy


def _is_needed(entry: str) -> bool:
    return entry in (*_HEADERS, _MODEL) or entry.startswith(_TENSORS)


def _checked(entry: str, content: bytes, where: str) -> bytes:
    """One entry of the archive as it may be passed on."""
    if entry == _MODEL:
        try:
            return json.dumps(checked_program(json.loads(content))).encode()
        except UnsafeTextError as exc:
            raise InputError(f"{where} holds more than a graph: {exc}.", hint=_AGAIN) from exc
    if entry.endswith(_CONFIG):
        _check_payloads(json.loads(content), where)
    elif content.startswith((b"PK", b"\x80")):
        _check_pickle(entry, content, where)
    return content


def _check_payloads(config: Any, where: str) -> None:
    for name, payload in config["config"].items():
        path = str(payload["path_name"])
        if path.startswith(_OBJECTS) or "/" in path or "\\" in path:
            raise InputError(f"{where} holds an object that is no tensor: {quoted(name)}.", hint=_AGAIN)


def _check_pickle(entry: str, content: bytes, where: str) -> None:
    """Let through what torch's restricted unpickler reads: tensors and plain containers."""
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as exc:  # pickle.UnpicklingError and whatever damage leads to
        raise InputError(
            f"{where} holds pickled objects that are no tensors ({quoted(entry)}).", hint=_AGAIN
        ) from exc
