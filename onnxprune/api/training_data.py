"""Samples to train on: none of those that the result is judged by."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from onnxprune.api.arguments import Data
from onnxprune.api.holding import Shares
from onnxprune.api.job import Job
from onnxprune.api.planning import Step
from onnxprune.calibration import Batch, Samples, open_samples
from onnxprune.calibration.choosing import taken
from onnxprune.errors import UsageError
from onnxprune.model import Model

_BATCH = 256


def open_training(job: Job, model: Model, shares: Shares, step: Step) -> Samples:
    """All samples of the training data but those that are held back.

    Samples are told by what is in them, so that it does not matter under which name or in which order both
    sources have them.

    Args:
        job: names the data: ``train_data``, or ``data``.
        model: that they are fed to.
        shares: the samples held back.
        step: told the name of the step.

    Raises:
        InputError: they cannot be read, or do not fit the model.
        UsageError: the specification makes no sense, or no samples are left.
    """
    own = job.settings
    step("opening the training data")
    return _apart(own.data if own.train_data is None else own.train_data, job, model, shares.held)


def open_validation(job: Job, model: Model, shares: Shares) -> Samples | None:
    """The samples that the best epoch is chosen by, None where they are a share of the training data."""
    given = job.settings.validation_data
    return None if given is None else _apart(given, job, model, shares.held)


def _apart(data: Data, job: Job, model: Model, held: Samples | None) -> Samples:
    own = job.settings
    preprocess = None if isinstance(data, Samples) else own.preprocess
    found = open_samples(data, model, preprocess=preprocess, seed=own.seed)
    if held is None:
        return found
    back = set(_digests(held))
    free = np.array([digest not in back for digest in _digests(found)])
    if free.all():
        return found
    if free.sum() < 2:
        raise UsageError(
            f"All {found.count} samples are held back to judge the result by; none are left to train on.",
            hint="Give --train-data, or hold fewer back with --holdout.",
        )
    return taken(found, np.flatnonzero(free))


def _digests(samples: Samples) -> Iterator[bytes]:
    """A digest of what each sample feeds."""
    for batch in samples.batches(_BATCH):
        yield from (_digest(batch, row) for row in range(len(batch)))


def _digest(batch: Batch, row: int) -> bytes:
    found = blake2b(digest_size=16)
    for name in sorted(batch.feed):
        found.update(np.ascontiguousarray(batch.feed[name][row]).tobytes())
    return found.digest()
