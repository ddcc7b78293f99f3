"""Reports as JSON: written so that a person can read and diff them, read with a check of their form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxprune.errors import InputError
from onnxprune.report.document import SCHEMA
from onnxprune.report.figures import printable

if TYPE_CHECKING:
    from onnxprune.surgery import Cuts

_DEEP = frozenset(
    {"layers", "cuts", "groups", "scores", "totals", "settings", "source", "output", "planned", "steps"}
)
"""Keys whose entries get a line each; anything else is one line."""


@dataclass(frozen=True)
class Claims:
    """What a report states that can be checked against the files.

    Attributes:
        cuts: what each constant of the source lost.
        source: SHA-256 of the source file, empty if not stated.
        output: SHA-256 of the pruned file, empty if not stated.
        lossless: the result computes what the source computes, nothing masked.
        repaired: weights were changed to make up for what is gone, or trained, so that outputs differ from
            those of the masked source.
        exact: every constant left holds values of the source, bit for bit.
    """

    cuts: Cuts
    source: str = ""
    output: str = ""
    lossless: bool = False
    repaired: bool = False
    exact: bool = True


def dumps(data: Mapping[str, Any]) -> str:
    """One JSON object, a line an entry: thousands of kept indices do not become thousands of lines.

    Numbers that JSON does not know (infinite, not a number) are written as null.
    """
    lines = [f" {json.dumps(key)}: {_value(key, value)}" for key, value in data.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_claims(path: Path) -> Claims:
    """What a report file states.

    Raises:
        InputError: it cannot be read, is no JSON, or not a report of this schema.
    """
    where = repr(printable(path))
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise InputError(f"The report {where} does not exist.", hint="Check the path.") from exc
    except OSError as exc:
        raise InputError(f"The report {where} cannot be read: {exc.strerror or exc}.") from exc
    except (ValueError, RecursionError) as exc:
        raise InputError(
            f"{where} is not JSON: {printable(exc)}.",
            hint="Give the file that --report FILE.json wrote.",
        ) from exc
    return claims(data, where)


def claims(data: object, where: str = "The report") -> Claims:
    """What a report states, given as the object that ``Report.to_dict`` makes.

    Raises:
        InputError: the object is not a report of this schema, or has no cuts.
    """
    if not isinstance(data, Mapping) or "schema" not in data:
        raise InputError(f"{where} is not a report of onnxprune.", hint="Give what --report FILE.json wrote.")
    if data["schema"] != SCHEMA:
        raise InputError(
            f"{where} has schema {printable(data['schema'])}, this version reads {SCHEMA}.",
            hint="Use the version of onnxprune that wrote it.",
        )
    cuts = data.get("cuts")
    if not isinstance(cuts, dict):
        raise InputError(f"{where} has no cuts.", hint="It may have been edited or cut short.")
    repair = _entry(data, "settings", "repair") or "none"
    mended = bool(data.get("repair"))  # a clean-up has no such section
    trained = bool(data.get("training"))
    return Claims(
        cuts=cuts,
        source=str(_entry(data, "source", "sha256") or ""),
        output=str(_entry(data, "output", "sha256") or ""),
        lossless=repair == "merge" and not mended and not trained,
        repaired=(repair != "none" and mended) or trained,
        exact=repair == "none" and not trained and not _entry(data, "output", "flushed"),
    )


def _entry(data: Mapping[str, Any], part: str, name: str) -> Any:
    """An entry of one part of a report, None where either is missing."""
    found = data.get(part)
    return found.get(name) if isinstance(found, Mapping) else None


def _value(key: str, value: Any) -> str:
    if key in _DEEP and isinstance(value, Mapping) and value:
        return "{\n  " + ",\n  ".join(f"{json.dumps(k)}: {_line(v)}" for k, v in value.items()) + "\n }"
    if key in _DEEP and isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_line, value)) + "\n ]"
    return _line(value)


def _line(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not isfinite(value) else value
