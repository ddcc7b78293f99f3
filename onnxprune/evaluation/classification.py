"""Metrics that compare scores of classes with labels."""

from __future__ import annotations

from math import sqrt

import numpy as np

from onnxprune.evaluation.figure import Figure, mean, share, spread
from onnxprune.evaluation.observation import Observation
from onnxprune.model.constants import Array

FIVE = 5

SUMS_TO_ONE = 1e-2
"""How far a row of probabilities may be from a sum of 1; 16-bit outputs are no nearer."""

TINY = 1e-15
"""Least probability that a class is given, so that a certain error costs a finite loss."""


def choice(classes: Array) -> Array:
    """(samples,) the class with the highest score, the first of equals; -1 where scores are no numbers."""
    return np.where(np.isnan(classes).any(axis=1), -1, np.argmax(classes, axis=1))


def labelled(seen: Observation) -> tuple[Array, Array]:
    """Scores (samples, classes) and labels (samples,) of a batch that must have both."""
    if seen.classes is None or seen.labels is None:
        raise ValueError("the batch has no scores of classes or no labels.")
    return seen.classes, seen.labels


class Accuracy:
    """Share of the samples whose highest score is that of their label (top-1)."""

    def __init__(self) -> None:
        self._hits = self._count = 0

    def add(self, seen: Observation) -> None:
        """Take one more batch in."""
        classes, labels = labelled(seen)
        self._hits += int((choice(classes) == labels).sum())
        self._count += len(labels)

    def figure(self) -> Figure:
        """Share from 0 to 1."""
        return share(self._hits, self._count)


class TopFive:
    """Share of the samples whose label is among the five highest scores; of equal scores the first count."""

    def __init__(self) -> None:
        self._hits = self._count = 0

    def add(self, seen: Observation) -> None:
        """Take one more batch in."""
        classes, labels = labelled(seen)
        own = np.take_along_axis(classes, labels[:, None], axis=1)
        earlier = np.arange(classes.shape[1])[None, :] < labels[:, None]
        ahead = (classes > own) | ((classes == own) & earlier)
        self._hits += int(((ahead.sum(axis=1) < FIVE) & (choice(classes) >= 0)).sum())
        self._count += len(labels)

    def figure(self) -> Figure:
        """Share from 0 to 1."""
        return share(self._hits, self._count)


class BalancedAccuracy:
    """Mean over classes of the share found of each (macro recall); classes without samples do not count.

    Brodersen et al. 2010, "The balanced accuracy and its posterior distribution".
    """

    def __init__(self) -> None:
        self._hits = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)

    def add(self, seen: Observation) -> None:
        """Take one more batch in."""
        classes, labels = labelled(seen)
        if not len(self._counts):
            self._hits = np.zeros(classes.shape[1], np.int64)
            self._counts = np.zeros(classes.shape[1], np.int64)
        np.add.at(self._hits, labels[choice(classes) == labels], 1)
        np.add.at(self._counts, labels, 1)

    def figure(self) -> Figure:
        """Mean recall from 0 to 1; its interval adds up the variances of the recalls."""
        present = self._counts > 0
        if not present.any():
            return share(0, 0)
        counts = self._counts[present]
        recalls = self._hits[present] / counts
        error = sqrt(float((recalls * (1 - recalls) / counts).sum())) / len(counts)
        return spread(float(recalls.mean()), error, least=0.0, most=1.0)


class LogLoss:
    """Mean negative log-probability of the label, in nats.

    Outputs that are probabilities already (no row leaves 0 to 1 or sums to anything but 1, on any
    sample) are taken as such. All else goes through a softmax: logits, and logarithms of
    probabilities, of which the softmax is what they are the logarithms of.
    """

    def __init__(self) -> None:
        self._of_logits: list[Array] = []
        self._of_probabilities: list[Array] = []
        self._probabilities = True

    def add(self, seen: Observation) -> None:
        """Take one more batch in."""
        classes, labels = labelled(seen)
        own = np.take_along_axis(classes, labels[:, None], axis=1)[:, 0]
        top = classes.max(axis=1)
        self._of_logits.append(np.log(np.exp(classes - top[:, None]).sum(axis=1)) + top - own)
        self._probabilities = self._probabilities and are_probabilities(classes)
        if self._probabilities:
            self._of_probabilities.append(-np.log(np.maximum(own, TINY)))

    def figure(self) -> Figure:
        """Nats, lower is better."""
        losses = self._of_probabilities if self._probabilities else self._of_logits
        return mean(np.concatenate([np.zeros(0), *losses]))


def are_probabilities(classes: Array) -> bool:
    """Whether every row, (samples, classes), is a distribution."""
    sums = classes.sum(axis=1)
    return bool((classes >= 0).all() and (np.abs(sums - 1) <= SUMS_TO_ONE).all())
