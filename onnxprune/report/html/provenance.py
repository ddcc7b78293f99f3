"""Where a result comes from: the command, the files, the versions, every setting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onnxprune.report.document import Report
from onnxprune.report.figures import size

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Provenance:
    """What it takes to do the same again.

    Attributes:
        command: the command line, empty where there was none.
        parts: tables by heading.
        tensors: constants of the source that lost slices.
    """

    command: str
    parts: tuple[tuple[str, Pairs], ...]
    tensors: int


def provenance(report: Report) -> Provenance:
    """The tables at the end of a page."""
    parts = {
        "Source": tuple(_source(report.source)),
        "Result": tuple(_output(report.output)),
        "Settings": tuple(_settings(report.settings)),
        "Versions": tuple(report.versions.items()),
    }
    there = tuple((heading, pairs) for heading, pairs in parts.items() if pairs)
    return Provenance(report.command, there, len(report.cuts))


def _source(source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "file", str(source["path"] or "model in memory")
    yield "size", size(source["bytes"])
    if source.get("sha256"):
        yield "SHA-256", str(source["sha256"])
    yield from _those("external data", ", ".join(map(str, source.get("external_data", ()))))
    yield from _those("graph", source.get("graph"))
    yield from _those("nodes", source.get("nodes"))
    opset = source.get("opset", {})
    yield from _those("opset", ", ".join(f"{domain} {version}" for domain, version in opset.items()))
    yield from _those("IR version", source.get("ir_version"))
    yield from _those("made by", source.get("producer"))


def _output(output: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if output["written"]:
        yield "file", str(output["path"])
    yield "size", size(output["bytes"])
    yield from _those("SHA-256", output.get("sha256"))
    yield from _those("nodes", output.get("nodes"))
    yield from _those("denormals set to 0 in", ", ".join(map(str, output.get("flushed", ()))))


def _settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if value is not None and value != [] and key != "version":
            yield key.replace("_", " "), _text(value)


def _text(value: Any) -> str:
    """A setting as it would be typed; what is nested in pairs or as JSON."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{key} {_text(inner)}" for key, inner in value.items() if inner not in (None, {}, [])
        )
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return "; ".join(map(_text, value))
    return value if isinstance(value, str) else json.dumps(value)


def _those(head: str, value: object) -> Iterator[tuple[str, str]]:
    if value:
        yield head, str(value)
