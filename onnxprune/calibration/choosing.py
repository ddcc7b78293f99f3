"""Which samples are used: a random subset that the seed decides, and parts of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from onnxprune.calibration.samples import Batch, Samples
from onnxprune.coupling.groups import Indices
from onnxprune.errors import UsageError

DEFAULT_COUNT = 512
"""Samples that pruning takes where the user names no number."""


def chosen(total: int, count: int | None, seed: int) -> Indices:
    """Positions of a random subset, ascending, so that files are read in one go.

    Args:
        total: number of samples that there are.
        count: how many are wanted, None for all; all where there are no more.
        seed: decides which.

    Raises:
        UsageError: none is wanted.
    """
    if count is not None and count < 1:
        raise UsageError(f"--samples {count} is too small.", hint="Give 1 or more; 512 is a usual number.")
    if count is None or count >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(seed).choice(total, count, replace=False))


@runtime_checkable
class _Takes(Protocol):
    """Samples of which any can be taken without reading the others."""

    def take(self, positions: Indices) -> Samples:
        """The samples at some positions, ascending."""


def split(samples: Samples, share: float, *, seed: int = 0) -> tuple[Samples, Samples]:
    """Divide samples at random, so that what is chosen by some can be judged by the others.

    Args:
        samples: at least two.
        share: of them in the second part, between 0 and 1; each part gets one at least.
        seed: decides which.

    Returns:
        The samples to choose by, and those that are held back; both in their old order.

    Raises:
        UsageError: the share is out of range, or there are too few samples.
    """
    if not 0 < share < 1:
        raise UsageError(
            f"A share of {share} of the samples cannot be held back.", hint="Give one between 0 and 1."
        )
    if samples.count < 2:
        raise UsageError("One sample cannot be divided.", hint="Give more samples.")
    held = min(max(round(samples.count * share), 1), samples.count - 1)
    back = chosen(samples.count, held, seed)
    kept = np.setdiff1d(np.arange(samples.count), back)
    return taken(samples, kept), taken(samples, back)


def taken(samples: Samples, positions: Indices) -> Samples:
    """The samples at some positions, ascending."""
    return samples.take(positions) if isinstance(samples, _Takes) else Chosen(samples, positions)


class Chosen:
    """Some of other samples, which are read through for them.

    Args:
        samples: all of them.
        positions: (count,) of those that are meant, ascending.
    """

    def __init__(self, samples: Samples, positions: Sequence[int] | Indices) -> None:
        self._samples = samples
        self._positions = np.asarray(positions, np.int64)

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self._positions)

    @property
    def labelled(self) -> bool:
        """Whether the batches have labels."""
        return self._samples.labelled

    @property
    def description(self) -> str:
        """Which samples these are."""
        return f"{self.count} of {self._samples.description}"

    def batches(self, size: int) -> Iterator[Batch]:
        """The chosen samples in order, at most ``size`` at a time."""
        return rebatched(self._found(size), size)

    def part(self, start: int, stop: int) -> Chosen:
        """The samples from one position up to, but without, another."""
        return Chosen(self._samples, self._positions[start:stop])

    def _found(self, size: int) -> Iterator[Batch]:
        start = 0
        for batch in self._samples.batches(size):
            stop = start + len(batch)
            own = self._positions[(self._positions >= start) & (self._positions < stop)] - start
            start = stop
            if len(own):
                yield _rows(batch, own)


def rebatched(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    """The samples of some batches in batches of one size; only the last may be smaller."""
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch)
        while count >= size:
            whole = _joined(waiting)
            yield _rows(whole, np.arange(size))
            count -= size
            waiting = [_rows(whole, np.arange(size, size + count))] if count else []
    if count:
        yield _joined(waiting)


def _rows(batch: Batch, rows: Indices) -> Batch:
    feed = {name: values[rows] for name, values in batch.feed.items()}
    return Batch(feed, None if batch.labels is None else batch.labels[rows])


def _joined(batches: Sequence[Batch]) -> Batch:
    if len(batches) == 1:
        return batches[0]
    feed = {name: np.concatenate([batch.feed[name] for batch in batches]) for name in batches[0].feed}
    labels = [batch.labels for batch in batches if batch.labels is not None]
    return Batch(feed, np.concatenate(labels) if labels else None)
