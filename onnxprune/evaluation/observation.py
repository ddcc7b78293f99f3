"""What a model said on one batch, beside what is true and what its teacher says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprune.errors import InputError, UsageError
from onnxprune.model.constants import Array

Outputs = Mapping[str, Any]
"""Output name -> array."""


@dataclass(frozen=True, eq=False)
class Observation:
    """A batch as the metrics see it.

    Attributes:
        outputs: floating-point outputs by name.
        classes: (samples, classes) scores of the classes, None where no output holds such.
        labels: (samples,) class indices, None where there are none.
        teacher: what the teacher says on the same batch, None without one.
    """

    outputs: Mapping[str, Array]
    classes: Array | None
    labels: Array | None = None
    teacher: Observation | None = None


def observe(
    outputs: Outputs, name: str | None, *, labels: Array | None = None, teacher: Observation | None = None
) -> Observation:
    """Sort out what a run returned.

    Args:
        outputs: of the model.
        name: output with the scores of the classes; None takes the first that can be one.
        labels: of the batch.
        teacher: what the teacher said.

    Raises:
        UsageError: there is no output of that name, or it holds no scores of classes.
        InputError: labels that are no classes of the output.
    """
    floats = {key: np.asarray(value) for key, value in outputs.items() if _is_float(value)}
    classes = class_scores(outputs, name)
    if classes is not None and labels is not None:
        _check_labels(labels, classes.shape[1])
    return Observation(floats, classes, labels, teacher)


def class_scores(outputs: Outputs, name: str | None) -> Array | None:
    """The scores of the classes, (samples, classes), float64.

    Without a name it is the first floating-point output with one row a sample and at least two columns;
    axes of length 1 behind these (1x1 maps) do not count.

    Raises:
        UsageError: there is no output of that name, or it has another form.
    """
    if name is None:
        found = (_as_rows(value) for value in outputs.values() if _is_float(value))
        return next((rows for rows in found if rows is not None), None)
    if name not in outputs:
        raise UsageError(
            f"There is no output {name!r}.", hint=f"The model has: {', '.join(map(repr, outputs))}."
        )
    rows = _as_rows(outputs[name])
    if rows is None:
        shape = getattr(outputs[name], "shape", "unknown")
        raise UsageError(
            f"The output {name!r} of shape {shape} has no scores of classes.",
            hint="It has to have one row a sample and one column a class.",
        )
    return rows


def _as_rows(value: Any) -> Array | None:
    values = np.asarray(value)
    if values.ndim < 2 or values.shape[1] < 2 or any(size != 1 for size in values.shape[2:]):
        return None
    rows: Array = values.reshape(values.shape[:2]).astype(np.float64)
    return rows


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _check_labels(labels: Array, classes: int) -> None:
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise InputError(
            f"Labels of type {labels.dtype} and shape {labels.shape} are no class indices.",
            hint="Give one integer a sample.",
        )
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(
            f"Labels from {labels.min()} to {labels.max()} do not fit an output of {classes} classes.",
            hint="Labels are class indices from 0 on. Is this the data of another model, or another output?",
        )
