"""Samples that are read once: held in memory where they fit, and known by what they contain."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import numpy as np

from onnxprune.calibration import Batch, Samples

HELD_BYTES = 1 << 30
"""Samples beyond this are read from their source every time."""


class HeldSamples:
    """Samples that a scan goes through many times.

    Args:
        samples: where they come from.
        size: of the batches that they will be asked for.
    """

    def __init__(self, samples: Samples, size: int) -> None:
        self._samples = samples
        self._size = size
        self._batches: list[Batch] | None = []
        digest, held = sha256(), 0
        for batch in samples.batches(size):
            for part in _bytes(batch):
                digest.update(part)
            held += sum(values.nbytes for values in batch.feed.values())
            if self._batches is not None:
                self._batches.append(batch)
            if held > HELD_BYTES:
                self._batches = None
        self.digest = digest.hexdigest()
        self.description = samples.description

    @property
    def count(self) -> int:
        """Number of samples."""
        return self._samples.count

    @property
    def labelled(self) -> bool:
        """Whether the batches have labels."""
        return self._samples.labelled

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order, at most ``size`` at a time."""
        if self._batches is not None and size == self._size:
            return iter(self._batches)
        return self._samples.batches(size)

    def part(self, start: int, stop: int) -> Samples:
        """The samples from one position up to, but without, another."""
        return self._samples.part(start, stop)


def _bytes(batch: Batch) -> Iterator[bytes | memoryview]:
    """Everything that makes a batch what it is."""
    for name, values in batch.feed.items():
        yield f"{name} {values.dtype} {values.shape}".encode()
        yield np.asarray(values, order="C").reshape(-1).view(np.uint8).data
    if batch.labels is not None:
        yield np.asarray(batch.labels, np.int64).tobytes()
