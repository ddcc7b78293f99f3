"""Everything that was asked for, of all groups, in one pass over the samples for each way of measuring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxprune.calibration import activations, gates, ranks
from onnxprune.calibration.carriers import readings
from onnxprune.calibration.evidence import Evidence, Look
from onnxprune.calibration.memory import whole_batches
from onnxprune.calibration.samples import Samples
from onnxprune.calibration.statistics import (
    Covariance,
    Gate,
    MapRank,
    Mean,
    MeanSquare,
    Statistic,
    ZeroShare,
)
from onnxprune.calibration.task import Found, Measure, Task
from onnxprune.coupling import Coupling
from onnxprune.errors import InputError
from onnxprune.execution import Refusal

Ways = Mapping[tuple[type[Statistic], ...], Measure]

WAYS: Ways = {
    (Mean, MeanSquare, ZeroShare, Covariance): activations.measure,
    (MapRank,): ranks.measure,
    (Gate,): gates.measure,
}
"""Who measures what."""


def gather(
    coupling: Coupling,
    samples: Samples,
    wanted: Iterable[Statistic],
    *,
    threads: int | None = None,
    seed: int = 0,
    ways: Ways = WAYS,
) -> Evidence:
    """Measure a model on samples.

    Memory stays bounded by the batch that is run (about 512 MB) and by what is kept: four bytes for each
    sample and channel where a statistic is one number a sample, and the matrices of covariances.

    Args:
        coupling: of the model.
        samples: what to run it on; those at the end that do not fill a batch of fixed size are left out.
        wanted: the statistics.
        threads: of ONNX Runtime or torch; None leaves the choice to it.
        seed: of random choices.
        ways: who measures what.

    Raises:
        InputError: the model does not run on the samples.
        UsageError: a statistic needs what the samples do not have.
        MissingExtraError: derivatives were asked for, and torch is not installed.
    """
    asked = frozenset(wanted)
    whole = whole_batches(coupling, samples)
    task = Task(coupling, readings(coupling), whole, threads, seed)
    looks: dict[Statistic, Look] = {}
    for kinds, measure in ways.items():
        own = frozenset(statistic for statistic in asked if isinstance(statistic, kinds))
        if own:
            looks.update(_measured(measure, task, own))
    layers = {group: tuple(reading.layers for reading in own) for group, own in task.readings.items()}
    return Evidence(looks, layers, whole.count, whole.description)


def _measured(measure: Measure, task: Task, wanted: frozenset[Statistic]) -> Found:
    try:
        return measure(task, wanted)
    except Refusal as exc:
        raise InputError(
            f"The model does not run on the samples: {exc}.",
            hint="Check that --data and --preprocess give each input its shape and type.",
        ) from exc
