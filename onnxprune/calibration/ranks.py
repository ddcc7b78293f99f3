"""Ranks of feature maps: the one statistic that has to look at whole maps outside the graph."""

from __future__ import annotations

from math import prod

import numpy as np

from onnxprune.calibration.carriers import Carrier
from onnxprune.calibration.evidence import Look
from onnxprune.calibration.memory import fixed_batch
from onnxprune.calibration.statistics import MapRank, Statistic
from onnxprune.calibration.task import Found, Task
from onnxprune.calibration.units import by_sample, by_unit
from onnxprune.coupling.groups import Floats
from onnxprune.execution import Runner
from onnxprune.model.constants import Array


def measure(task: Task, wanted: frozenset[Statistic]) -> Found:
    """Run the model on the first samples, as many as each statistic looks at."""
    return {statistic: _look(task, statistic) for statistic in wanted if isinstance(statistic, MapRank)}


def _look(task: Task, statistic: MapRank) -> Look:
    carriers = task.carriers()
    if not carriers:
        return lambda _: ()
    several = fixed_batch(task.coupling) or 1
    samples = task.samples.part(0, min(task.samples.count, -(-statistic.samples // several) * several))
    values = list(dict.fromkeys(carrier.value for carrier in carriers))
    runner = Runner(task.coupling.model, outputs=values, threads=task.threads)
    parts: dict[Carrier, list[Array]] = {carrier: [] for carrier in carriers}
    for batch in samples.batches(task.batch(samples, held=values, copies=1)):
        found = runner.run(batch.feed)
        for carrier, own in parts.items():
            own.append(by_sample(ranks(found[carrier.value], carrier), carrier, len(batch)))
    tables = {carrier: np.concatenate(own) for carrier, own in parts.items()}
    sizes = {group.name: group.size for group in task.coupling.structure.groups}

    def look(group: str) -> tuple[Floats, ...]:
        return tuple(by_unit(tables[r.carrier], r.units, sizes[group]) for r in task.readings[group])

    return look


def ranks(values: Array, carrier: Carrier) -> Array:
    """Rank of the map of each sample and channel, in the carrier's order of these two axes.

    A map of more than two axes is a matrix of its first axis by all others; one of a single axis, or of a
    single element, has rank 1 unless it is zero. Singular values below ``max(rows, columns) * eps`` of the
    largest count as zero, as in numpy and torch.
    """
    kept = sorted(axis for axis in (carrier.batch, carrier.channel) if axis is not None)
    maps = np.moveaxis(values.astype(np.float32, copy=False), kept, range(len(kept)))
    lead, sizes = maps.shape[: len(kept)], maps.shape[len(kept) :]
    rows = sizes[0] if len(sizes) > 1 else 1
    matrices = maps.reshape(*lead, rows, prod(sizes) // rows)
    if 1 in matrices.shape[-2:]:
        return np.asarray(matrices.any(axis=(-2, -1)), np.float32)
    return np.asarray(np.linalg.matrix_rank(matrices), np.float32)
