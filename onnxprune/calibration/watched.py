"""Samples that tell how many of them were taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from onnxprune.calibration.samples import Batch, Samples

Advance = Callable[[int, int], None]
"""Told how many samples are done, and of how many."""


class WatchedSamples:
    """The samples of another source, with word of every batch that is done.

    Args:
        samples: the source.
        advance: told when the next batch is asked for, and at the end.
    """

    def __init__(self, samples: Samples, advance: Advance) -> None:
        self._samples = samples
        self._advance = advance

    @property
    def count(self) -> int:
        """Number of samples."""
        return self._samples.count

    @property
    def labelled(self) -> bool:
        """Whether the batches have labels."""
        return self._samples.labelled

    @property
    def description(self) -> str:
        """Which samples these are."""
        return self._samples.description

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order, at most ``size`` at a time."""
        done = 0
        for batch in self._samples.batches(size):
            yield batch
            done += len(batch)
            self._advance(done, self.count)

    def part(self, start: int, stop: int) -> Samples:
        """The samples from one position up to, but without, another; watched too."""
        return WatchedSamples(self._samples.part(start, stop), self._advance)
