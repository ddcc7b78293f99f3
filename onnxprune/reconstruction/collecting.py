"""Takes the rows of a layer out of activations that are stored batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from onnxprune.calibration.samples import Samples
from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array
from onnxprune.reconstruction.columns import Columns
from onnxprune.reconstruction.moments import Moments
from onnxprune.reconstruction.rows import Rows

MOST_COLUMNS = 5000
"""Columns up to which the second moments are formed; beyond, the dual form works on the rows."""

ROWS = 1 << 17
"""Rows that a layer is fitted by at most, and fewer where it has few columns: positions of one sample are
much alike, so more of them cost time and tell nothing."""

ROWS_A_COLUMN = 1000
DUAL_ROWS = 2048
BATCH = 32
HELD = 4
"""One batch in so many is held back."""


def batch_size(samples: Samples, fixed: int | None = None) -> int:
    """Samples a batch: enough batches to hold some back, whatever the number of samples.

    Args:
        samples: to be split.
        fixed: the batch that the model is bound to, if it is.
    """
    return fixed or max(1, min(BATCH, samples.count // HELD))


def held_back(batches: int) -> list[bool]:
    """Which batches are held back: every fourth one."""
    return [i % HELD == HELD - 1 for i in range(batches)]


class Picker:
    """Chooses rows of a layer at random, the same ones every time.

    Args:
        name: of the layer.
        seed: of the run.
        columns: of the layer.
        batches: how many there are.
    """

    def __init__(self, name: str, seed: int, columns: Columns, batches: int) -> None:
        digest = hashlib.sha256(name.encode()).digest()
        self._generator = np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])
        self.width = len(columns.channel_of())
        most = DUAL_ROWS if self.dual else min(ROWS, max(1 << 14, ROWS_A_COLUMN * self.width))
        self._share = max(1, most // batches)

    @property
    def dual(self) -> bool:
        """Whether there are too many columns for their second moments."""
        return self.width > MOST_COLUMNS

    def rows(self, number: int) -> Indices:
        """Rows to use of a batch that has so many."""
        if number <= self._share:
            return np.arange(number)
        return np.sort(self._generator.choice(number, self._share, replace=False))


def collect(
    columns: Columns, picker: Picker, inputs: Sequence[Array], targets: Iterator[Array] | Sequence[Array]
) -> tuple[Moments | Rows, Moments | Rows]:
    """What a fit needs of the rows to fit by, and of those held back.

    Args:
        columns: of the layer.
        picker: chooses rows.
        inputs: what the layer reads, one array a batch.
        targets: what it should give, one array a batch.
    """
    own, held = _empty(columns, picker), _empty(columns, picker)
    for values, wanted, back in zip(inputs, targets, held_back(len(inputs)), strict=True):
        chosen = picker.rows(columns.positions(wanted))
        into = held if back else own
        into.add(
            np.asarray(columns.rows(values, chosen, wanted.shape), dtype=np.float32),
            np.asarray(columns.targets(wanted, chosen), dtype=np.float32),
        )
    return own, held


def _empty(columns: Columns, picker: Picker) -> Moments | Rows:
    if picker.dual and columns.groups == 1:
        return Rows()
    return Moments(picker.width, columns.channels // columns.groups, columns.groups)
