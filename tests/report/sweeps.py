"""Results of sweeps written by hand."""

from __future__ import annotations

from onnxprune.sweep import Config, Row, Sweep
from onnxprune.sweep.document import marked
from onnxprune.sweep.space import make_space, source_config


def outcome(accuracy: float, latency: float, macs: int, nbytes: int) -> dict:
    return {
        "metrics": {"accuracy": {"value": accuracy, "interval": [accuracy - 0.01, accuracy + 0.01]}},
        "macs": macs,
        "params": macs // 10,
        "bytes": nbytes,
        "model": "models/x.onnx",
        "latency": {"ratio": latency, "p50_ms": latency, "source_p50_ms": 1.0, "verdict": ""},
    }


def swept(name: str = "model", *, ways: int = 3, layers: tuple[str, ...] = ()) -> Sweep:
    """The source, then ways that cost less and are worse each, then one without a result."""
    rows = [Row(source_config("none"), outcome(0.95, 1.0, 1000, 4000))]
    for k in range(ways):
        own = Config("ratio", f"0.{k + 1}", name, "none", "none", layers)
        rows.append(Row(own, outcome(0.9 - 0.01 * k, 0.9 - 0.01 * k, 900 - 9 * k, 3600 - k)))
    rows.append(Row(Config("ratio", "0.5", "l1", "lstsq", "none", layers), outcome(0.8, 0.95, 950, 3900)))
    rows.append(Row(Config("ratio", "0.9", "l1", "none", "none", layers), {}, "out of reach"))
    space = make_space(
        ratios=[0.1, 0.5], criteria=[name, "l1"], repairs=["none", "lstsq"], quantize=["none"], layers=layers
    )
    source = {"path": f"{name}.onnx", "sha256": "ab"}
    settings = {"version": "1", "threads": None, "seed": 0}
    return Sweep(
        "accuracy",
        marked(rows, "accuracy"),
        space,
        settings,
        source,
        "data.npz",
        500,
        "out",
        "a machine",
        (name,),
    )
