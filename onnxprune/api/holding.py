"""Samples that a model is fitted to and chosen by, and others that are held back to judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxprune.api.job import Job
from onnxprune.api.planning import Step
from onnxprune.calibration import DEFAULT_COUNT, Samples, open_samples, split
from onnxprune.calibration.choosing import chosen, taken
from onnxprune.coupling import Coupling
from onnxprune.plan.costs import compile_costs
from onnxprune.plan.drop import DropTarget

CHOOSING = 2000
"""Samples that a bound on the loss is kept on, where the user names no number."""

LEAST, MOST = 200, 1000
"""Samples that are held back where the user names no number, by what they cost."""

WORK = 1e12
"""Multiply-accumulates that a model may take on what is held back, beyond the least of samples."""

SHARE = 0.2
"""Of the samples held back where the source has no others."""


@dataclass(frozen=True, eq=False)
class Shares:
    """The samples of a run by what they are for; all None where there are none.

    Attributes:
        fitting: criteria and repairs measure the model on them.
        choosing: a bound on the loss is kept on them; the fitting ones are among these.
        held: nothing is fitted to or chosen by them; None where none are wanted or left.
    """

    fitting: Samples | None = None
    choosing: Samples | None = None
    held: Samples | None = None


def open_shares(job: Job, coupling: Coupling, step: Step) -> Shares:
    """Open the samples that a job names, and divide them.

    Args:
        job: checked by ``open_job``.
        coupling: of the model that they are fed to.
        step: told the name of the step.

    Raises:
        InputError: they cannot be read, or do not fit the model.
        UsageError: the specification makes no sense.
        MissingExtraError: images need Pillow, and it is not installed.
    """
    own = job.settings
    if own.data is None:
        return Shares()
    step("opening samples")
    count = own.samples
    if count is None and not isinstance(own.data, Samples):
        count = CHOOSING if isinstance(job.target, DropTarget) else DEFAULT_COUNT
    wanted = _wanted(job, coupling)
    opened = open_samples(
        own.data,
        coupling.model,
        preprocess=own.preprocess,
        count=None if count is None else count + wanted,
        seed=own.seed,
    )
    back = held_back(opened.count, count, wanted)
    choosing, held = split(opened, back / opened.count, seed=own.seed) if back else (opened, None)
    fitting = some(choosing, own.seed) if isinstance(job.target, DropTarget) else choosing
    return Shares(fitting, choosing, held)


def held_back(total: int, count: int | None, wanted: int) -> int:
    """How many samples are held back.

    Args:
        total: that there are.
        count: wanted for all else, None for as many as possible.
        wanted: to be held back at most; fewer where there are no other samples than those wanted for
            all else: a fifth of them then.
    """
    spare = 0 if count is None else total - count
    return min(wanted, max(spare, int(total * SHARE)))


def some(samples: Samples, seed: int) -> Samples:
    """So many of the samples that a criterion or a repair has enough.

    Args:
        samples: all of them.
        seed: decides which.
    """
    if samples.count <= DEFAULT_COUNT:
        return samples
    return taken(samples, chosen(samples.count, DEFAULT_COUNT, seed))


def _wanted(job: Job, coupling: Coupling) -> int:
    """Samples to hold back at most."""
    if job.settings.holdout is not None:
        return job.settings.holdout
    if isinstance(job.target, DropTarget):
        return CHOOSING
    macs = compile_costs(coupling.structure, "macs").total(np.ones(len(coupling.structure.groups)))
    return int(np.clip(WORK / max(macs, 1.0), LEAST, MOST))
