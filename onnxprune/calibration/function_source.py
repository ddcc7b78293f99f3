"""Samples from a function of the user's own: ``package.module:function``."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from onnxprune.calibration import tables
from onnxprune.calibration.arrays import LABELS, array_source, batch_of, is_arrays
from onnxprune.calibration.choosing import rebatched
from onnxprune.calibration.samples import Batch, Samples
from onnxprune.calibration.sources import Request, Source
from onnxprune.calibration.tables import CHUNK, ArrayColumn, Columns, Field
from onnxprune.coupling.groups import Indices
from onnxprune.errors import OnnxPruneError, UsageError
from onnxprune.model.constants import Array

PATTERN = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
"""How a function is named."""

_CONTRACT = (
    "It is called without arguments and yields batches, or returns all samples: an array, a dict of arrays "
    "by input name, or a pair of one of these and labels."
)


def function_source(path: str, request: Request) -> Source:
    """What a function gives as samples. With a number of samples it is asked for no more than these.

    Raises:
        UsageError: it cannot be loaded, fails, or gives something else.
    """
    function = _load(path)
    with _running(path):
        given = function()
    if is_arrays(given):
        return array_source(given, request, path)
    stream = _Stream(path, function, request)
    with _running(path):
        return stream.source(_items(given))


class _Stream:
    """The batches of a function, which is called anew for every pass where they are too many to be kept.

    Args:
        path: its name.
        function: gives an iterable of batches.
        request: what they are for.
    """

    def __init__(self, path: str, function: Callable[[], Any], request: Request) -> None:
        self._path = path
        self._function = function
        self._request = request
        self.count = 0
        self.fields: Mapping[str, Field] = {}

    def source(self, given: Iterator[Any]) -> Source:
        """The samples of a first pass: kept, or only counted where they are too large for that."""
        kept: list[Batch] = []
        labels: list[Array] = []
        held = 0
        for batch in self._batches(given):
            self._check_alike(batch)
            self.count += len(batch)
            held += sum(values.nbytes for values in batch.feed.values())
            labels += [] if batch.labels is None else [batch.labels]
            if held > tables.HELD_BYTES:
                kept.clear()
            else:
                kept.append(batch)
        if not self.count:
            raise UsageError(f"--data {self._path} gives no samples.", hint=_CONTRACT)
        classes = np.concatenate(labels) if labels else None
        if classes is not None and len(classes) != self.count:
            raise UsageError(f"--data {self._path} gives labels with some batches only.", hint=_CONTRACT)
        column = None if classes is None else ArrayColumn(classes, LABELS)
        if not kept:
            return Source(self, column, self._path)
        arrays = {name: np.concatenate([batch.feed[name] for batch in kept]) for name in self.fields}
        columns = {name: ArrayColumn(values, self.fields[name].origin) for name, values in arrays.items()}
        return Source(Columns(columns), column, self._path, in_memory=True)

    def read(self, rows: Indices, size: int) -> Iterator[Mapping[str, Array]]:
        """The given rows, ascending.

        Raises:
            UsageError: the function fails, or gives fewer samples than the first time.
        """
        with _running(self._path):
            found = 0
            for batch in rebatched(self._rows(rows), size):
                found += len(batch)
                yield batch.feed
            if found < len(rows):
                raise UsageError(
                    f"--data {self._path} gives fewer samples when it is called again.",
                    hint="It has to give the same samples in the same order every time.",
                )

    def _rows(self, rows: Indices) -> Iterator[Batch]:
        start = 0
        for batch in self._batches(_items(self._function())):
            inside = rows[(rows >= start) & (rows < start + len(batch))] - start
            start += len(batch)
            if len(inside):
                yield Batch({name: values[inside] for name, values in batch.feed.items()})
            if len(rows) and start > rows[-1]:
                return

    def _batches(self, given: Iterator[Any]) -> Iterator[Batch]:
        """As many batches as are wanted, the last one cut."""
        left = self._request.count
        for item in given:
            batch = batch_of(item, self._request, f"--data {self._path}")
            if left is not None and len(batch) >= left:
                yield Batch(
                    {name: values[:left] for name, values in batch.feed.items()},
                    None if batch.labels is None else batch.labels[:left],
                )
                return
            left = None if left is None else left - len(batch)
            yield batch

    def _check_alike(self, batch: Batch) -> None:
        """See that every batch holds the same kind of samples.

        Raises:
            UsageError: one does not.
        """
        own = {
            name: Field(values.shape[1:], values.dtype, f"{self._path}: {name}")
            for name, values in batch.feed.items()
        }
        if self.fields and own != self.fields:
            raise UsageError(
                f"--data {self._path} gives samples of different shapes or types: "
                f"{_kinds(self.fields)}, then {_kinds(own)}.",
                hint="All samples of a model's input have one shape and one type.",
            )
        self.fields = own


def _items(given: Any) -> Iterator[Any]:
    return given.batches(CHUNK) if isinstance(given, Samples) else iter(given)


def _kinds(fields: Mapping[str, Field]) -> str:
    return ", ".join(f"{name} {field.dtype}{list(field.shape)}" for name, field in fields.items())


def _load(path: str) -> Callable[[], Any]:
    module, _, name = path.partition(":")
    with _running(path, "cannot be loaded"):
        found = getattr(importlib.import_module(module), name)
    if not callable(found):
        raise UsageError(f"--data {path} is no function.", hint=_CONTRACT)
    loaded: Callable[[], Any] = found
    return loaded


@contextmanager
def _running(path: str, what: str = "failed") -> Iterator[None]:
    """A failure in the user's own function is the user's to mend, and says so.

    Raises:
        UsageError: in place of whatever the function raised.
    """
    try:
        yield
    except OnnxPruneError:
        raise
    except Exception as exc:
        raise UsageError(f"--data {path} {what}: {type(exc).__name__}: {exc}.", hint=_CONTRACT) from exc
