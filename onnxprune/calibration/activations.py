"""Statistics of activations that the graph itself computes: one run a batch for all groups and statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np

from onnxprune.calibration.carriers import Carrier
from onnxprune.calibration.covariance import Covariances
from onnxprune.calibration.evidence import Look
from onnxprune.calibration.probes import Probes
from onnxprune.calibration.statistics import Covariance, Mean, MeanSquare, Statistic, ZeroShare
from onnxprune.calibration.task import Found, Task
from onnxprune.calibration.units import by_sample, by_unit
from onnxprune.coupling.groups import Floats
from onnxprune.execution import Runner
from onnxprune.model.constants import Array


class Collector(Protocol):
    """Keeps what the runs give for one statistic."""

    def take(self, found: Mapping[str, Array], count: int) -> None:
        """Add the results of one run on so many samples."""

    def look(self) -> Look:
        """What was collected, by group."""


class PerSample:
    """One number for each sample and channel.

    Args:
        task: what is measured.
        attach: adds the measuring nodes for a carrier, gives the name of their output.
        finish: makes the statistic of what the nodes gave, element by element.
    """

    def __init__(
        self, task: Task, attach: Callable[[Carrier], str], finish: Callable[[Floats], Floats] | None = None
    ) -> None:
        self._task = task
        self._outputs = {carrier: attach(carrier) for carrier in task.carriers()}
        self._parts: dict[Carrier, list[Array]] = {carrier: [] for carrier in self._outputs}
        self._finish = finish

    def take(self, found: Mapping[str, Array], count: int) -> None:
        """Add the results of one run on so many samples."""
        for carrier, name in self._outputs.items():
            self._parts[carrier].append(by_sample(found[name], carrier, count))

    def look(self) -> Look:
        """(samples, units) of every reading, by group."""
        tables = {carrier: np.concatenate(parts) for carrier, parts in self._parts.items()}
        sizes = {group.name: group.size for group in self._task.coupling.structure.groups}

        def found(group: str) -> tuple[Floats, ...]:
            own = [by_unit(tables[r.carrier], r.units, sizes[group]) for r in self._task.readings[group]]
            return tuple(own if self._finish is None else map(self._finish, own))

        return found


COLLECTORS: Mapping[type[Statistic], Callable[[Task, Probes], Collector]] = {
    Mean: lambda task, probes: PerSample(task, probes.mean),
    MeanSquare: lambda task, probes: PerSample(task, probes.mean_square),
    ZeroShare: lambda task, probes: PerSample(task, probes.nonzero, lambda share: 1.0 - share),
    Covariance: Covariances,
}
"""How each statistic is collected."""

COPIES: Mapping[type[Statistic], int] = {Mean: 0, MeanSquare: 1, ZeroShare: 1, Covariance: 3}
"""How many values of the size of a measured one its nodes make."""


def measure(task: Task, wanted: frozenset[Statistic]) -> Found:
    """Run the model once over the samples, with measuring nodes for every statistic."""
    probes = Probes(task.coupling.model)
    collectors = {statistic: COLLECTORS[type(statistic)](task, probes) for statistic in wanted}
    if probes.outputs:
        runner = Runner(probes.model(), outputs=probes.outputs, threads=task.threads)
        for count, found in _runs(task, runner, collectors):
            for collector in collectors.values():
                collector.take(found, count)
        return {statistic: collector.look() for statistic, collector in collectors.items()}
    return {statistic: lambda _: () for statistic in collectors}


def _runs(
    task: Task, runner: Runner, collectors: Mapping[Statistic, Collector]
) -> Iterator[tuple[int, Mapping[str, Array]]]:
    """Number of samples and results of every run."""
    shifting = next((c for c in collectors.values() if isinstance(c, Covariances)), None)
    shifts = shifting.shifts if shifting else {}
    # ONNX Runtime measures behind the last layer, so all measured values live until then
    held = [carrier.value for carrier in task.carriers()]
    copies = max(COPIES[type(statistic)] for statistic in collectors)
    size = task.batch(task.samples, held=held, copies=copies)
    for start, batch in enumerate(task.samples.batches(size)):
        if shifting and not start:
            shifting.settle(runner.run({**batch.feed, **shifts}))
        yield len(batch), runner.run({**batch.feed, **shifts})
