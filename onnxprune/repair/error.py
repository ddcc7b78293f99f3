"""How far outputs are from those of the source, on samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxprune.calibration import Samples
from onnxprune.calibration.memory import batch_size
from onnxprune.coupling import Coupling
from onnxprune.execution import Refusal, Runner
from onnxprune.model import Model
from onnxprune.model.constants import Array

MOST_SAMPLES = 128
"""Samples that are compared: the figure guides a choice, it does not measure an accuracy."""


def output_errors(
    coupling: Coupling, models: Sequence[Model], samples: Samples, *, threads: int | None = None
) -> tuple[float, ...]:
    """``|f(x) - source(x)| / |source(x)|`` of several models, norms over all float outputs and samples.

    Args:
        coupling: of the source.
        models: with the inputs and outputs of the source.
        samples: of which the first ones are taken.
        threads: of ONNX Runtime; None leaves the choice to it.

    Returns:
        One error a model; infinite where it does not run or gives no finite numbers.
    """
    part = samples.part(0, min(samples.count, MOST_SAMPLES))
    size = batch_size(coupling, part)
    reference = Runner(coupling.model, threads=threads)
    squares, errors = 0.0, np.zeros(len(models))
    runners = [Runner(model, threads=threads) for model in models]
    for batch in part.batches(size):
        if len(batch) < size and squares:
            break  # a model of fixed batch size takes no smaller one
        wanted = _floats(reference.run(batch.feed))
        squares += sum(float((own**2).sum()) for own in wanted)
        for place, runner in enumerate(runners):
            errors[place] += _difference(runner, batch.feed, wanted)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.sqrt(errors / squares)
    return tuple(float(error) if np.isfinite(error) else float("inf") for error in found)


def _difference(runner: Runner, feed: Mapping[str, Array], wanted: Sequence[Array]) -> float:
    try:
        given = _floats(runner.run(feed))
    except Refusal:
        return float("inf")
    return sum(float(((own - other) ** 2).sum()) for own, other in zip(given, wanted, strict=True))


def _floats(outputs: Mapping[str, Any]) -> list[Array]:
    """The outputs that are arrays of floating-point numbers, in double precision."""
    arrays = [own for own in outputs.values() if isinstance(own, np.ndarray)]
    return [own.astype(np.float64) for own in arrays if np.issubdtype(own.dtype, np.floating)]
