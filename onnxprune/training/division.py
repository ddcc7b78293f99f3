"""Which samples are trained on, and which are held back to choose the best epoch by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxprune.calibration import Samples
from onnxprune.calibration.choosing import taken
from onnxprune.calibration.stored import StoredSamples
from onnxprune.coupling.groups import Indices
from onnxprune.errors import UsageError
from onnxprune.training.randomness import Purpose, generator
from onnxprune.training.settings import TrainSettings

MOST_HELD = 5000
"""Samples that are held back at the most: enough to tell half a point."""


@dataclass(frozen=True)
class Division:
    """Samples by what they are for.

    Attributes:
        training: to train on.
        validation: to choose the best epoch by.
        seen: as many of those that are trained on, where the validation samples are a share of the same data;
            None where they were given apart.
        black: what zeros become as inputs, by input; empty where the samples do not tell.
    """

    training: Samples
    validation: Samples
    black: dict[str, np.ndarray]
    seen: Samples | None = None


def divide(samples: Samples, validation: Samples | None, settings: TrainSettings) -> Division:
    """Hold some samples back, of each class its share, unless others are given for that.

    Raises:
        UsageError: nothing would be left on one of the sides.
    """
    black = _black(samples)
    if validation is not None:
        return Division(samples, validation, black)
    share, count = settings.validation, samples.count
    held = min(max(round(count * share), 1), MOST_HELD)
    if share == 0 or count < 2:
        raise UsageError(
            "There are no samples to choose the best epoch by."
            if share == 0
            else f"There is only {count} sample to train on.",
            hint="Give --validation a share above 0, such as 0.1, or data of their own for it.",
        )
    rng = generator(settings.seed, Purpose.VALIDATION)
    labels = labels_of(samples)
    back = rng.permutation(count)[:held] if labels is None else _stratified(labels, held, rng)
    kept = np.setdiff1d(np.arange(count), back)
    seen = kept[:: max(1, len(kept) // held)]
    return Division(taken(samples, kept), taken(samples, np.sort(back)), black, taken(samples, seen))


def labels_of(samples: Samples) -> Indices | None:
    """The class of every sample, None where there are none."""
    if not samples.labelled:
        return None
    if isinstance(samples, StoredSamples) and samples.labels is not None:
        return samples.labels[samples.rows]
    parts = [np.asarray(batch.labels).reshape(-1) for batch in samples.batches(256)]
    return np.concatenate(parts).astype(np.int64)


def _stratified(labels: Indices, held: int, rng: np.random.Generator) -> Indices:
    """Positions of as many samples, classes in their own proportions as far as whole numbers go.

    Samples are put in a row class after class, each class shuffled, and taken from it at even distances.
    """
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    start = rng.random()
    places = ((np.arange(held) + start) * len(labels) / held).astype(np.int64)
    return by_class[places]


def _black(samples: Samples) -> dict[str, np.ndarray]:
    """What zeros become: the value of a black pixel where images are stored as whole numbers."""
    if not isinstance(samples, StoredSamples):
        return {}
    fields = samples.table.fields
    return {
        name: prepare(np.zeros((1, *fields[name].shape), fields[name].dtype))[0]
        for name, prepare in samples.preparing.items()
        if fields[name].dtype.kind == "u"
    }
