"""Class indices: read, brought into one form, checked."""

from __future__ import annotations

from typing import Literal

import numpy as np

from onnxprune.calibration.tables import CHUNK, Column
from onnxprune.coupling.groups import Indices
from onnxprune.errors import InputError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted

Labels = Literal["auto", "required", "none"]
"""Whether labels are taken where there are some, have to be there, or are left alone."""


def class_indices(column: Column, classes: int | None) -> Indices:
    """The labels of all samples.

    Args:
        column: (n,) or (n, 1) whole numbers, or (n, classes) with a single one in each row.
        classes: number of classes of the model, None where it is not known.

    Raises:
        InputError: they are no class indices, or of classes that the model does not have.
    """
    every = np.arange(column.count)
    parts = [_indices(part, column.field.origin) for part in column.read(every, CHUNK)]
    found = np.concatenate(parts)
    check_range(found, classes, column.field.origin)
    return found


def check_range(labels: Indices, classes: int | None, origin: str) -> None:
    """See that every label is a class of the model.

    Raises:
        InputError: one is not.
    """
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (classes is not None and high >= classes):
        most = "" if classes is None else f", but the model has {classes} classes, 0 to {classes - 1}"
        raise InputError(
            f"The labels {quoted(origin)} go from {low} to {high}{most}.",
            hint="Labels count from 0. If they are not classes of this model leave them out: "
            "FILE.npz:NAME names the samples alone.",
        )


def _indices(values: Array, origin: str) -> Indices:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all():
        values = values.argmax(axis=1)
    if values.ndim == 1 and values.dtype.kind == "f" and (values == np.rint(values)).all():
        values = values.astype(np.int64)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise InputError(
            f"The labels {quoted(origin)} are no class indices: {values.dtype} of shape {values.shape[1:]} "
            "for each sample.",
            hint="Give whole numbers from 0, one for each sample, or rows with a single one.",
        )
    return values.astype(np.int64)
