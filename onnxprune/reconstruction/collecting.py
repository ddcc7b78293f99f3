"""Takes the rows of a layer out of activations that are stored batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from onnxprune.calibration import memory
from onnxprune.calibration.samples import Samples
from onnxprune.coupling.coupling import Coupling
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


def in_batches(coupling: Coupling, samples: Samples) -> tuple[Samples, int]:
    """The samples to use, and how many at a time: enough batches to hold some back, where that is free.

    Samples that do not fill a batch of fixed size are left out.

    Raises:
        UsageError: the model takes a fixed number of samples at a time, and there are fewer.
    """
    if memory.fixed_batch(coupling):
        size = memory.batch_size(coupling, samples)
        return memory.whole_batches(coupling, samples), size
    return samples, max(1, min(BATCH, samples.count // HELD))


def rows_to_fit_by(batch: int, batches: int, rows: int) -> int:
    """How many of a batch's rows, from the first on, to fit by; the others are held back.

    Every fourth batch is held back; of fewer than four, the last quarter of the rows of each.
    """
    if batches < HELD:
        return rows * (HELD - 1) // HELD
    return 0 if batch % HELD == HELD - 1 else rows


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
    columns: Columns,
    picker: Picker,
    inputs: Sequence[Array],
    targets: Iterator[Array] | Sequence[Array],
    old: tuple[Array, Array] | None = None,
) -> tuple[Moments | Rows, Moments | Rows]:
    """What a fit needs of the rows to fit by, and of those held back.

    Args:
        columns: of the layer.
        picker: chooses rows.
        inputs: what the layer reads, one array a batch.
        targets: what it should give, one array a batch.
        old: the packed weight and the bias (groups, channels) that the layer has; None where nothing is
            to be fitted.
    """
    own, held = _empty(columns, picker), _empty(columns, picker)
    for batch, (values, wanted) in enumerate(zip(inputs, targets, strict=True)):
        chosen = picker.rows(columns.positions(wanted))
        first = rows_to_fit_by(batch, len(inputs), len(chosen))
        for into, some in ((own, chosen[:first]), (held, chosen[first:])):
            if len(some):
                rows = np.asarray(columns.rows(values, some, wanted.shape), dtype=np.float32)
                goal = np.asarray(columns.targets(wanted, some), dtype=np.float32)
                into.add(rows, goal, goal if old is None else _lacking(rows, goal, *old))
    return own, held


def _empty(columns: Columns, picker: Picker) -> Moments | Rows:
    if picker.dual:
        return Rows()
    return Moments(picker.width, columns.channels // columns.groups, columns.groups)


def _lacking(rows: Array, goal: Array, weight: Array, bias: Array) -> Array:
    """The targets less what the layer gives as it is, (groups, rows, channels)."""
    lacking: Array = goal - rows @ weight.astype(np.float32) - bias[:, None].astype(np.float32)
    return lacking
