"""Puts a report together from what the steps of a run returned."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Indices, Layer
from onnxprune.model import Model
from onnxprune.model.naming import readable
from onnxprune.report import measure
from onnxprune.report.document import Change, LayerRow, Status
from onnxprune.surgery import Cut


def describe_source(model: Model) -> dict[str, Any]:
    """What identifies the file that was read."""
    proto = model.proto
    return {
        "path": None if model.path is None else str(model.path),
        "bytes": model.nbytes,
        "sha256": model.sha256,
        "external_data": [_beside(path, model) for path in model.external],
        "opset": {readable(own.domain) or "ai.onnx": own.version for own in proto.opset_import},
        "ir_version": proto.ir_version,
        "producer": f"{readable(proto.producer_name)} {readable(proto.producer_version)}".strip(),
        "graph": readable(proto.graph.name),
        "nodes": len(proto.graph.node),
    }


def _beside(path: Path, model: Model) -> str:
    """A data file as the model refers to it: equal copies of a model give equal reports."""
    return str(path) if model.path is None else os.path.relpath(path, model.path.parent.resolve())


def describe_output(
    path: Path | None, model: Model, *, written: bool, flushed: Sequence[str]
) -> dict[str, Any]:
    """The file that was written, or would have been.

    Args:
        path: where it goes, None for nowhere.
        model: the result, which knows its bytes.
        written: whether the file is there.
        flushed: constants whose denormal values were set to zero.
    """
    return {
        "path": None if path is None else str(path),
        "written": written,
        "bytes": model.nbytes,
        "sha256": model.sha256 or None,
        "nodes": len(model.proto.graph.node),
        "flushed": list(flushed),
    }


def versions() -> dict[str, str]:
    """What made the result: the package, Python, and the libraries that numbers pass through."""
    from onnxprune import __version__

    found = {"onnxprune": __version__, "python": platform.python_version()}
    for name in ("onnx", "onnxruntime", "numpy"):
        with suppress(metadata.PackageNotFoundError):  # ONNX Runtime comes under several names
            found[name] = metadata.version(name)
    return found


def totals(coupling: Coupling, cut: Cut, rows: tuple[LayerRow, ...]) -> dict[str, Change]:
    """The figures of the contract before and after; ``bytes`` after is 0 until the file is made."""
    source = coupling.model
    return {
        "params": (measure.parameters(source.constants), measure.parameters(cut.model.constants)),
        "macs": measure.macs(coupling, cut.survivors),
        "bytes": (source.nbytes, 0),
        "filters": (sum(row.channels[0] for row in rows), sum(row.channels[1] for row in rows)),
    }


def layer_rows(
    coupling: Coupling,
    cut: Cut,
    *,
    reasons: Mapping[str, str],
    asked: Set[str],
    removed_by: Mapping[str, Indices] = MappingProxyType({}),
    criteria: int = 0,
) -> tuple[LayerRow, ...]:
    """What became of every layer.

    Args:
        coupling: of the source.
        cut: what surgery left.
        reasons: group -> why it was left whole.
        asked: groups that the user asked to leave alone.
        removed_by: group -> (units,) position of the criterion that removed the unit, -1 for none.
        criteria: how many criteria there are.
    """
    structure = coupling.structure
    free = {group.name for group in structure.groups if not group.held}
    changes = measure.channels(coupling, cut.survivors)
    by_criterion = measure.removals(coupling, removed_by, criteria)
    rows = []
    for layer, change, removals in zip(structure.layers, changes, by_criterion, strict=True):
        row = replace(_row(layer, change, reasons, free), removed_by=removals)
        alone = row.status != "pruned" and layer.weight not in cut.cuts and not asked & set(layer.groups)
        rows.append(replace(row, untouched=alone))
    return tuple(rows)


def _row(layer: Layer, change: Change, reasons: Mapping[str, str], free: Set[str]) -> LayerRow:
    whole = dict.fromkeys(reasons[group] for group in layer.groups if group in reasons)
    left: Status = "kept" if free & set(layer.groups) else "pinned"
    outranked = "its filters rank above those that its group lost in other layers"
    return LayerRow(
        name=layer.name,
        op=layer.op,
        weight=layer.weight,
        channels=change,
        groups=layer.groups,
        status="pruned" if change[1] < change[0] else left,
        reason=layer.reason or "; ".join(whole) or (outranked if change[1] == change[0] else ""),
    )
