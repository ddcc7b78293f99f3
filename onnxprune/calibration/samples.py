"""Samples: batches that a model can be run on, in the same order every time they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array


@dataclass(frozen=True, eq=False)
class Batch:
    """A few samples.

    Attributes:
        feed: input name -> array, samples along the first axis; preprocessed, in the input's type.
        labels: (samples,) class indices, None where there are none.
    """

    feed: Mapping[str, Array]
    labels: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.feed.values())))


@runtime_checkable
class Samples(Protocol):
    """A source of batches. It may be read as often as wanted and gives the same every time."""

    @property
    def count(self) -> int:
        """Number of samples."""

    @property
    def labelled(self) -> bool:
        """Whether the batches have labels."""

    @property
    def description(self) -> str:
        """Which samples these are, for the report: source, number, seed."""

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order, at most ``size`` at a time; only the last batch may be smaller."""

    def part(self, start: int, stop: int) -> Samples:
        """The samples from one position up to, but without, another."""


class ArraySamples:
    """Samples that lie in memory.

    Args:
        arrays: input name -> array, samples along the first axis.
        labels: (samples,) class indices.
        description: for the report.
    """

    def __init__(
        self, arrays: Mapping[str, Array], labels: Array | None = None, *, description: str = "arrays"
    ) -> None:
        self._arrays = dict(arrays)
        self._labels = None if labels is None else np.asarray(labels)
        self.description = description

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(next(iter(self._arrays.values())))

    @property
    def labelled(self) -> bool:
        """Whether the batches have labels."""
        return self._labels is not None

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order, at most ``size`` at a time."""
        for start in range(0, self.count, size):
            own = slice(start, start + size)
            labels = None if self._labels is None else self._labels[own]
            yield Batch({name: values[own] for name, values in self._arrays.items()}, labels)

    def part(self, start: int, stop: int) -> ArraySamples:
        """The samples from one position up to, but without, another."""
        return self._some(slice(start, stop))

    def take(self, positions: Sequence[int] | Indices) -> ArraySamples:
        """The samples at some positions, ascending."""
        return self._some(np.asarray(positions, np.int64))

    def _some(self, own: slice | Indices) -> ArraySamples:
        arrays = {name: values[own] for name, values in self._arrays.items()}
        labels = None if self._labels is None else self._labels[own]
        return ArraySamples(arrays, labels, description=self.description)
