"""Where samples are stored: tables whose rows are samples and whose columns are arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array

HELD_BYTES = 256 << 20
"""Chosen samples up to this size stay in memory once they were read; more are read again every time."""

CHUNK = 256
"""Rows that are read at a time where nobody says how many."""


@dataclass(frozen=True)
class Field:
    """What a column holds for one sample.

    Attributes:
        shape: of one sample.
        dtype: as stored.
        origin: what the column is called in messages.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    origin: str

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return prod(self.shape) * self.dtype.itemsize


class Table(Protocol):
    """Samples as they are stored, by column."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def fields(self) -> Mapping[str, Field]:
        """The columns by the name of the input that they are for."""

    def read(self, rows: Indices, size: int) -> Iterator[Mapping[str, Array]]:
        """The given rows, ascending, at most ``size`` at a time; only the last part may be smaller."""


class Column(Protocol):
    """One array of which rows can be read without the rest."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def field(self) -> Field:
        """What a row is."""

    def read(self, rows: Indices, size: int) -> Iterator[Array]:
        """The given rows, ascending, at most ``size`` at a time."""


class ArrayColumn:
    """An array in memory, or mapped from a file.

    Args:
        values: rows along the first axis.
        origin: its name in messages.
    """

    def __init__(self, values: Array, origin: str) -> None:
        self._values = values
        self.count = len(values)
        self.field = Field(values.shape[1:], values.dtype, origin)

    def read(self, rows: Indices, size: int) -> Iterator[Array]:
        """Copies of the given rows."""
        for start in range(0, len(rows), size):
            yield np.asarray(self._values[rows[start : start + size]])


class Columns:
    """A table made of columns that are read side by side.

    Args:
        columns: by the name of the input that they are for, all of the same length.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self._columns = dict(columns)
        self.count = next(iter(columns.values())).count
        self.fields = {name: column.field for name, column in columns.items()}

    def read(self, rows: Indices, size: int) -> Iterator[Mapping[str, Array]]:
        """The given rows of all columns."""
        readers = [column.read(rows, size) for column in self._columns.values()]
        for parts in zip(*readers, strict=True):
            yield dict(zip(self._columns, parts, strict=True))


class Held:
    """The chosen rows of a table; the first reading keeps them in memory where they are few.

    Args:
        table: where they are stored; rows keep their numbers.
        rows: those that will be asked for, ascending.
    """

    def __init__(self, table: Table, rows: Indices) -> None:
        self._table = table
        self._rows = rows
        self.count = table.count
        self.fields = table.fields
        size = len(rows) * sum(field.nbytes for field in table.fields.values())
        self._may_hold = size <= HELD_BYTES
        self._kept: Table | None = None

    def read(self, rows: Indices, size: int) -> Iterator[Mapping[str, Array]]:
        """The given rows, out of memory where they are there."""
        if not self._may_hold:
            yield from self._table.read(rows, size)
            return
        if self._kept is None:
            parts = self._table.read(self._rows, CHUNK)
            self._kept = _gathered(parts, self.fields, len(self._rows))
        yield from self._kept.read(np.searchsorted(self._rows, rows), size)


def _gathered(parts: Iterator[Mapping[str, Array]], fields: Mapping[str, Field], count: int) -> Columns:
    """Parts of a table as a table in memory."""
    whole = {name: np.empty((count, *field.shape), field.dtype) for name, field in fields.items()}
    start = 0
    for part in parts:
        for name, values in part.items():
            whole[name][start : start + len(values)] = values
        start += len(next(iter(part.values())))
    return Columns({name: ArrayColumn(values, fields[name].origin) for name, values in whole.items()})
