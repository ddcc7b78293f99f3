"""Samples that stay where they are stored until they are asked for, and become inputs on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxprune.calibration.prepare import Prepare
from onnxprune.calibration.samples import Batch
from onnxprune.calibration.tables import Field, Table
from onnxprune.coupling.groups import Indices
from onnxprune.errors import InputError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted


@dataclass(frozen=True, eq=False)
class StoredSamples:
    """Samples in a table. Nothing that a batch holds depends on the size of the batches.

    Attributes:
        table: where they are.
        preparing: what makes a column into the input of the same name.
        rows: (count,) rows of the table, ascending.
        labels: (rows of the table,) class indices, None where there are none.
        description: for the report.
        notes: what the user should know about them.
    """

    table: Table
    preparing: Mapping[str, Prepare]
    rows: Indices
    labels: Indices | None
    description: str
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.rows)

    @property
    def labelled(self) -> bool:
        """Whether the batches have labels."""
        return self.labels is not None

    def batches(self, size: int) -> Iterator[Batch]:
        """All samples in order, at most ``size`` at a time.

        Raises:
            InputError: they cannot be read, hold values that are no numbers, or do not fit the input.
        """
        for start, stored in zip(range(0, self.count, size), self.table.read(self.rows, size), strict=True):
            rows = self.rows[start : start + size]
            for name, values in stored.items():
                _check_finite(values, self.table.fields[name], rows)
            feed = {name: self.preparing[name](values) for name, values in stored.items()}
            yield Batch(feed, None if self.labels is None else self.labels[rows])

    def part(self, start: int, stop: int) -> StoredSamples:
        """The samples from one position up to, but without, another."""
        return self.take(range(start, min(stop, self.count)))

    def take(self, positions: Sequence[int] | Indices) -> StoredSamples:
        """The samples at some positions, ascending."""
        return replace(self, rows=self.rows[np.asarray(positions, np.int64)])


def _check_finite(values: Array, field: Field, rows: Indices) -> None:
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    raise InputError(
        f"{quoted(field.origin)} holds NaN or infinity, first in sample {rows[bad.argmax()]}.",
        hint="A model gives nothing of use on such samples; take them out.",
    )
