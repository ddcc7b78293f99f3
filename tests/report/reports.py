"""Reports written by hand, so that what is shown can be checked figure by figure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from onnxprune.report import LayerRow, Report

VERIFIED = {
    "checked": True,
    "max_relative_error": 3e-7,
    "tolerance": 1e-4,
    "samples": 2,
    "passed": True,
    "reason": "",
}


def layer(name: str, before: int = 64, after: int = 32, **more: Any) -> LayerRow:
    status = "pruned" if after < before else "kept"
    given = {"op": "Conv", "weight": f"{name}.weight", "groups": (name,), "status": status, **more}
    return LayerRow(name=name, channels=(before, after), **given)


def report(*layers: LayerRow, **changes: Any) -> Report:
    own = Report(
        source={"path": "folder/model.onnx", "bytes": 2_000_000, "sha256": "ab"},
        output={"path": "small.onnx", "written": True, "bytes": 500_000, "sha256": "cd", "flushed": []},
        settings={
            "version": "1",
            "target": {"ratio": 0.4},
            "criterion": {"name": "l1", "threshold": None},
            "scoring": "independent",
            "scope": "local",
            "grid": 16,
            "seed": 0,
            "repair": "none",
        },
        totals={
            "params": (1_000_000, 250_000),
            "macs": (40_551_936, 20_000_000),
            "bytes": (2_000_000, 500_000),
            "filters": (128, 64),
        },
        layers=layers
        or (layer("first"), layer("last", 10, 10, status="pinned", reason="it feeds the output")),
        cuts={"first.weight": {"0": {"size": 64, "kept": list(range(32))}}},
        verification={"masked_equivalence": VERIFIED},
    )
    return replace(own, **changes)
