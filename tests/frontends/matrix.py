"""One cell of the matrix of exporters and networks: convert, compare, prune, compare again."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime as ort
from routes import EXPORTERS, Exported

from onnxprune import prune
from onnxprune.model import Model

RATIO = 0.4
TOLERANCE = 1e-4
"""Largest accepted deviation from the source framework, relative to the largest output."""

AGREEMENT = 0.02
"""By which share the parameters left may differ between exporters of one network."""

IMPOSSIBLE = {
    ("tflite", "lstm_head"): "TensorFlow's own converter fails on a recurrent layer with a dynamic batch",
}
"""Cells that the source framework itself cannot export."""


@dataclass(frozen=True)
class Cell:
    """What came of one network and one exporter.

    Attributes:
        error: largest deviation from the source framework, relative.
        parameters: before and after.
        kernels: the same, of weights that are more than a vector: what does not depend on how an
            exporter spells batch normalisation.
        macs: before and after.
        equivalence: largest relative deviation from the masked source.
        whole: layers that were not pruned, with the reason.
        batch: name of the first axis of the input, or its fixed size.
    """

    error: float
    parameters: tuple[int, int]
    kernels: tuple[int, int]
    macs: tuple[int, int]
    equivalence: float
    whole: tuple[tuple[str, str], ...]
    batch: str | int


def missing(exporter: str) -> str:
    """Which module an exporter lacks here; empty where it can run."""
    return next((name for name in EXPORTERS[exporter].needs if find_spec(name) is None), "")


def examine(exporter: str, network: str, folder: Path) -> Cell:
    """Run one cell."""
    exported = EXPORTERS[exporter].export(network, folder)
    result = prune(exported.model, ratio=RATIO, align="off", threads=1)
    report = result.report
    found = report.verification["masked_equivalence"]
    assert found["checked"], found["reason"]
    assert found["passed"]
    dimension = exported.model.proto.graph.input[0].type.tensor_type.shape.dim[0]
    return Cell(
        error=deviation(exported),
        parameters=report.totals["params"],
        kernels=(kernels(exported.model), kernels(result.model)),
        macs=report.totals["macs"],
        equivalence=found["max_relative_error"],
        whole=tuple((row.name, row.reason) for row in report.layers if row.channels[0] == row.channels[1]),
        batch=dimension.dim_param or dimension.dim_value,
    )


def deviation(exported: Exported) -> float:
    """Largest deviation of ONNX Runtime from the source framework, relative to the largest output."""
    got = run(exported.model, exported.inputs)
    return float(np.abs(got - exported.expected).max() / np.abs(exported.expected).max())


def run(model: Model, inputs: np.ndarray) -> np.ndarray:
    """The first output of a model for a batch, in single runs where its batch is fixed to one."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    serialized = model.to_proto().SerializeToString()
    session = ort.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])
    name, size = session.get_inputs()[0].name, session.get_inputs()[0].shape[0]
    step = size if isinstance(size, int) else len(inputs)
    parts = [inputs[start : start + step] for start in range(0, len(inputs), step)]
    return np.concatenate([session.run(None, {name: part})[0] for part in parts])


def kernels(model: Model) -> int:
    """Elements of the weights that are more than a vector."""
    weights = (c for c in model.constants.values() if c.is_float and sum(n > 1 for n in c.shape) > 1)
    return sum(c.size for c in weights)
