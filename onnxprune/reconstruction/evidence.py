"""Removal losses as a statistic that criteria can ask for."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from onnxprune.calibration import gathering
from onnxprune.calibration.evidence import Evidence
from onnxprune.calibration.gathering import WAYS, Ways
from onnxprune.calibration.samples import Samples
from onnxprune.calibration.statistics import RemovalLoss, Statistic
from onnxprune.calibration.task import Found, Task
from onnxprune.calibration.watched import Advance
from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Floats
from onnxprune.reconstruction.losses import removal_losses


def gather(
    coupling: Coupling,
    samples: Samples,
    wanted: Iterable[Statistic],
    *,
    threads: int | None = None,
    seed: int = 0,
    advance: Advance | None = None,
) -> Evidence:
    """Measure a model on samples, for the criteria that need it.

    Memory stays bounded by the batch that is run (about 512 MB) and by what is kept: four bytes for each
    sample and channel where a statistic is one number a sample, the matrices of covariances, and for removal
    losses the activations that are still to be read, of which what exceeds 1 GiB is kept in files.

    Args:
        coupling: of the model.
        samples: what to run it on; those at the end that do not fill a batch of fixed size are left out.
        wanted: the statistics, ``criterion(...).needs``.
        threads: of ONNX Runtime or torch; None leaves the choice to it.
        seed: of random choices.
        advance: told how far removal losses are: how many layers are done, and of how many.

    Raises:
        InputError: the model does not run on the samples.
        UsageError: a statistic needs what the samples do not have.
        MissingExtraError: derivatives were asked for, and torch is not installed.
    """
    ways = every_way(advance)
    return gathering.gather(coupling, samples, wanted, threads=threads, seed=seed, ways=ways)


def every_way(advance: Advance | None = None) -> Ways:
    """Who measures what, reconstruction included.

    Args:
        advance: told how many layers are done, and of how many, while losses are measured.
    """

    def measure(task: Task, wanted: frozenset[Statistic]) -> Found:
        losses = removal_losses(
            task.coupling, task.samples, seed=task.seed, threads=task.threads, advance=advance
        )

        def look(name: str) -> tuple[Floats, ...]:
            return (losses[name],) if name in losses else ()

        return dict.fromkeys(wanted, look)

    return MappingProxyType({**WAYS, (RemovalLoss,): measure})
