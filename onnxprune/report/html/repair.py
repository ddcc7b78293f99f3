"""What a repair did: its figures, and those of every layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprune.report.document import LayerRow
from onnxprune.report.html.readings import plain_facts, plain_text
from onnxprune.report.rows import label


@dataclass(frozen=True)
class Repair:
    """The section of a repair.

    Attributes:
        facts: figures of the whole step as pairs of texts; empty where nothing was repaired.
        columns: headings of the figures of single layers.
        rows: a layer and its figures, in the order of the columns.
    """

    facts: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def repair(section: Mapping[str, Any], layers: Sequence[LayerRow]) -> Repair:
    """The section of ``report.repair``, whatever figures the method has.

    Args:
        section: figures of the method, and ``layers`` with a ``layer`` and figures each.
        layers: bring the names that people know.
    """
    known = {row.name: label(row) for row in layers}
    listed = [row for row in section.get("layers", ()) if isinstance(row, Mapping)]
    told = [{key: plain_text(value) for key, value in row.items() if key != "layer"} for row in listed]
    columns = tuple(dict.fromkeys(key for row in told for key, text in row.items() if text))
    names = [str(row.get("layer", "")) for row in listed]
    return Repair(
        facts=plain_facts(section),
        columns=tuple(str(column).replace("_", " ") for column in columns),
        rows=tuple(
            (known.get(name, name), tuple(row.get(column, "") for column in columns))
            for name, row in zip(names, told, strict=True)
        ),
    )
