"""Metrics that compare a model with its teacher and need no labels."""

from __future__ import annotations

from math import inf, log, log10, sqrt

import numpy as np

from onnxprune.errors import InputError
from onnxprune.evaluation.classification import choice
from onnxprune.evaluation.figure import Figure, share, spread
from onnxprune.evaluation.observation import Observation
from onnxprune.model.constants import Array


class Agreement:
    """Share of the samples on which model and teacher have the highest score at the same class."""

    def __init__(self) -> None:
        self._hits = self._count = 0

    def add(self, seen: Observation) -> None:
        """Take one more batch in."""
        teacher = None if seen.teacher is None else seen.teacher.classes
        if seen.classes is None or teacher is None:
            raise InputError(
                "The teacher has no output with scores of classes to agree with.",
                hint="Give a teacher for the same task, or another metric: sqnr.",
            )
        _check_shapes("The output with the classes", seen.classes, teacher)
        own = choice(seen.classes)
        self._hits += int(((own == choice(teacher)) & (own >= 0)).sum())
        self._count += len(own)

    def figure(self) -> Figure:
        """Share from 0 to 1."""
        return share(self._hits, self._count)


class SignalToNoise:
    """Signal-to-quantisation-noise ratio: power of the teacher's outputs over that of the difference, in dB.

    Several outputs count alike, whatever their scale: their noise-to-signal ratios are averaged. An
    output on which the teacher is always zero is left out. Infinite where nothing differs.
    """

    def __init__(self) -> None:
        self._signal: list[Array] = []
        self._noise: list[Array] = []

    def add(self, seen: Observation) -> None:
        """Take one more batch in: (samples, outputs) powers."""
        pairs = _pairs(seen)
        self._signal.append(np.stack([_power(theirs) for _, theirs in pairs], axis=1))
        self._noise.append(np.stack([_power(own - theirs) for own, theirs in pairs], axis=1))

    def figure(self) -> Figure:
        """DB, higher is better; the interval is that of a ratio of means over samples."""
        signal, noise = np.concatenate(self._signal), np.concatenate(self._noise)
        heard = signal.sum(axis=0) > 0
        signal, noise = signal[:, heard], noise[:, heard]
        if not heard.any():
            return Figure(inf, inf, inf)
        total = signal.sum(axis=0)
        ratios = noise.sum(axis=0) / total
        ratio = float(ratios.mean())
        if not ratio:
            return Figure(inf, inf, inf)
        rest = ((noise - ratios * signal) / total).mean(axis=1)
        error = sqrt(float((rest**2).sum()))
        return spread(-10 * log10(ratio), 10 / log(10) * error / ratio)


def _pairs(seen: Observation) -> list[tuple[Array, Array]]:
    """Own and teacher's outputs: by name, or by position where the names are others."""
    own, theirs = seen.outputs, seen.teacher.outputs if seen.teacher else {}
    same = own.keys() & theirs.keys()
    pairs = [(own[k], theirs[k]) for k in own if k in same] or list(
        zip(own.values(), theirs.values(), strict=False)
    )
    if not pairs:
        raise InputError(
            "Model and teacher have no floating-point outputs to compare.",
            hint="Metrics with a teacher need a model of the same task.",
        )
    for mine, other in pairs:
        _check_shapes("An output", mine, other)
    return [(a.astype(np.float64), b.astype(np.float64)) for a, b in pairs]


def _power(values: Array) -> Array:
    """(samples,) sum of squares; what has no axis of samples is one sample."""
    rows = values.reshape(len(values), -1) if values.ndim else values.reshape(1, 1)
    power: Array = np.square(rows).sum(axis=1)
    return power


def _check_shapes(what: str, own: Array, theirs: Array) -> None:
    if own.shape != theirs.shape:
        raise InputError(
            f"{what} of the model has shape {own.shape}, of the teacher {theirs.shape}.",
            hint="Give a teacher for the same task.",
        )
