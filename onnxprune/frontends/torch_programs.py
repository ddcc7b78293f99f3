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
from onnxprune.frontends.bombs import check_archive, parsed_json
from onnxprune.frontends.extras import require
from onnxprune.frontends.failure import converting, first_line
from onnxprune.frontends.program_text import UnsafeTextError, checked_program
from onnxprune.frontends.quiet import quiet
from onnxprune.model.naming import quoted

_HEADERS = ("archive_format", "archive_version", "byteorder", ".data/version", ".data/serialization_id")
_MODEL = "models/model.json"
_TENSORS = ("data/weights/", "data/constants/", "data/sample_inputs/model.pt")
_CONFIG = "_config.json"
_OBJECTS = ("custom_obj", "opaque_obj")
_DAMAGE = (zipfile.BadZipFile, OSError, ValueError, KeyError, TypeError, AttributeError)

_AGAIN = (
    "Save it again in torch 2.9 or newer, torch.export.save(torch.export.export(model, example_inputs), "
    "'model.pt2'), or export it to ONNX where it was made: torch.onnx.export(program, (), 'model.onnx')."
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
        check_archive(path, where)
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
            entries = {name.partition("/")[2]: name for name in source.namelist()}
            if _MODEL not in entries:
                raise InputError(f"{where} holds no exported program called 'model'.", hint=_AGAIN)
            contents = {entry: source.read(name) for entry, name in entries.items() if _is_needed(entry)}
            for entry, content in _checked(contents, where).items():
                target.writestr(f"model/{entry}", content)
    except (*_DAMAGE, RecursionError) as exc:
        raise InputError(f"{where} is not a complete program: {first_line(exc)}", hint=_AGAIN) from exc
    copy.seek(0)
    return copy


def _is_needed(entry: str) -> bool:
    return entry in (*_HEADERS, _MODEL) or entry.startswith(_TENSORS)


def _checked(contents: dict[str, bytes], where: str) -> dict[str, bytes]:
    """The entries of an archive as they may be passed on."""
    pickles = {entry for entry in contents if entry.endswith(".pt")}
    for entry, content in contents.items():
        if entry.endswith(_CONFIG):
            pickles |= {
                entry.rpartition("/")[0] + "/" + name for name in _pickles(parsed_json(content, where), where)
            }
    for entry in pickles & set(contents):
        _check_pickle(entry, contents[entry], where)
    try:
        program = checked_program(parsed_json(contents[_MODEL], where))
    except UnsafeTextError as exc:
        raise InputError(f"{where} holds more than a graph: {exc}.", hint=_AGAIN) from exc
    return {**contents, _MODEL: json.dumps(program).encode()}


def _pickles(config: Any, where: str) -> list[str]:
    """Names of the pickled payloads of a configuration.

    Raises:
        InputError: one is no tensor, or lies outside of its folder.
    """
    for name, payload in config["config"].items():
        path = str(payload["path_name"])
        if path.startswith(_OBJECTS) or "/" in path or "\\" in path:
            raise InputError(f"{where} holds an object that is no tensor: {quoted(name)}.", hint=_AGAIN)
    return [str(payload["path_name"]) for payload in config["config"].values() if payload["use_pickle"]]


def _check_pickle(entry: str, content: bytes, where: str) -> None:
    """Let through what torch's restricted unpickler reads: tensors and plain containers."""
    import torch

    try:
        with quiet():
            torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception as exc:  # pickle.UnpicklingError and whatever damage leads to
        what = f"pickled objects that are no tensors ({quoted(entry)})"
        raise InputError(f"{where} holds {what}.", hint=_AGAIN) from exc
