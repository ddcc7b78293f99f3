"""Samples that come as arrays: from Python, or from a function of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxprune.calibration.npy import NUMBERS
from onnxprune.calibration.samples import Batch
from onnxprune.calibration.sources import Request, Source
from onnxprune.calibration.tables import ArrayColumn, Columns
from onnxprune.errors import UsageError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted

LABELS = "labels"
_PAIR = 2

_KINDS = "Give an array, a dict of arrays by input name, or a pair of one of these and labels."


def is_arrays(given: object) -> bool:
    """Whether something is samples in arrays, and not where they are or batches of them."""
    return isinstance(given, Mapping | tuple | Batch) or hasattr(given, "__array__")


def array_source(given: object, request: Request, name: str = "arrays") -> Source:
    """Samples that lie in memory.

    Raises:
        UsageError: they are no arrays, or not those that the model takes.
    """
    batch = batch_of(given, request, name)
    columns = {key: ArrayColumn(values, key) for key, values in batch.feed.items()}
    labels = None if batch.labels is None else ArrayColumn(batch.labels, LABELS)
    return Source(Columns(columns), labels, name, in_memory=True)


def batch_of(given: object, request: Request, name: str) -> Batch:
    """Arrays as they come, by the input that they are for; nothing is done to the values.

    Args:
        given: an array, a dict by input name, or a pair of one of these and labels.
        request: whose inputs they are for.
        name: what they are called in messages.

    Raises:
        UsageError: they are no arrays, or not those that the model takes.
    """
    feed: Any
    if isinstance(given, Batch):
        feed, labels = given.feed, given.labels
    elif isinstance(given, tuple | list) and len(given) == _PAIR:
        feed, labels = given
    else:
        feed, labels = given, None
    arrays = _by_input(feed, request, name)
    classes = None if labels is None or request.labels == "none" else _array(labels, name, LABELS)
    counts = {key: len(values) for key, values in arrays.items()}
    counts |= {} if classes is None else {LABELS: len(classes)}
    if len(set(counts.values())) > 1:
        raise UsageError(
            f"{name}: the arrays have different numbers of samples: "
            f"{', '.join(f'{key} {count}' for key, count in counts.items())}.",
            hint="Samples lie along the first axis of every array.",
        )
    return Batch(arrays, classes)


def _by_input(feed: Any, request: Request, name: str) -> Mapping[str, Array]:
    wanted = [own.name for own in request.inputs]
    if not isinstance(feed, Mapping):
        given = request.only_input(name)
        return {given.name: _array(feed, name, given.name)}
    if set(feed) != set(wanted):
        raise UsageError(
            f"{name}: the arrays are {', '.join(map(quoted, feed)) or 'none'}, the inputs of the model are "
            f"{', '.join(map(quoted, wanted))}.",
            hint="Give one array for each input, under its name; labels go beside: (inputs, labels).",
        )
    return {key: _array(feed[key], name, key) for key in wanted}


def _array(given: Any, name: str, key: str) -> Array:
    try:
        values = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as exc:
        raise UsageError(f"{name}: {quoted(key)} cannot be made an array: {exc}.", hint=_KINDS) from exc
    if values.dtype.kind not in NUMBERS or not values.ndim:
        what = type(given).__name__ if values.dtype.kind == "O" else f"{values.dtype} {values.shape}"
        raise UsageError(f"{name}: {quoted(key)} is no array of samples, but {what}.", hint=_KINDS)
    return values
