"""Samples in ``.npz`` files: which array is an input, and which holds the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxprune.calibration.npy import Header, NpzFile, npy_column
from onnxprune.calibration.sources import Request, Source
from onnxprune.calibration.tables import Column, Columns
from onnxprune.errors import InputError, UsageError
from onnxprune.model.naming import quoted

PAIRS = (
    ("x_train", "y_train"),
    ("train_images", "train_labels"),
    ("train_x", "train_y"),
    ("x", "y"),
    ("images", "labels"),
    ("image", "label"),
    ("inputs", "targets"),
    ("input", "target"),
    ("data", "labels"),
    ("data", "target"),
    ("features", "labels"),
    ("x_test", "y_test"),
    ("test_images", "test_labels"),
    ("arr_0", "arr_1"),
)
"""Names that arrays of samples and labels go by, those for training first."""

ENDINGS = (".npz", ".npy")
"""Files of arrays."""


@dataclass(frozen=True)
class Arrays:
    """The arrays of a file that are used.

    Attributes:
        inputs: input name -> name of its array.
        labels: name of the array of labels, empty for none.
    """

    inputs: Mapping[str, str]
    labels: str


def array_file_source(path: Path, names: Sequence[str], request: Request) -> Source:
    """Samples in a file of arrays.

    Args:
        path: of the ``.npz`` or ``.npy`` file.
        names: of the arrays, one for each input, then that of the labels; empty to find them.
        request: what they are for.

    Raises:
        InputError: it cannot be read, or has no such arrays.
        UsageError: the user named one that is not there, or too many or too few.
    """
    if path.suffix.lower() == ENDINGS[1]:
        given = request.only_input("An .npy file")
        return Source(Columns({given.name: npy_column(path)}), None, str(path))
    file = NpzFile(path)
    arrays = choose_arrays(file, [own.name for own in request.inputs], names)
    columns = {own: file.column(name) for own, name in arrays.inputs.items()}
    wanted = arrays.labels and request.labels != "none"
    labels = file.column(arrays.labels) if wanted else None
    _check_lengths(columns, labels, path)
    used = ", ".join([*arrays.inputs.values(), *([arrays.labels] if wanted else [])])
    return Source(Columns(columns), labels, f"{path}: {used}")


def divided(spec: str) -> tuple[Path, tuple[str, ...]]:
    """Path and array names of ``FILE.npz:NAME,NAME``."""
    for ending in ENDINGS:
        before, mark, names = spec.rpartition(f"{ending}:")
        if mark:
            return Path(before + ending), tuple(name.strip() for name in names.split(",") if name.strip())
    return Path(spec), ()


def choose_arrays(file: NpzFile, inputs: Sequence[str], names: Sequence[str]) -> Arrays:
    """Which arrays are meant.

    Args:
        file: that holds them.
        inputs: of the model, in order.
        names: that the user gave: one for each input, then that of the labels; empty to find them.

    Raises:
        InputError: the file has none that goes by a usual name.
        UsageError: the user named one that is not there, or too many or too few.
    """
    if names:
        return _named(file, inputs, names)
    if all(name in file.headers for name in inputs):
        rest = [name for name in file.headers if name not in inputs]
        return Arrays({name: name for name in inputs}, _label_among(rest))
    if len(inputs) == 1:
        return _usual(file, inputs[0])
    missing = [name for name in inputs if name not in file.headers]
    raise InputError(
        f"{quoted(file.path)} has no array {quoted(missing[0])}, which the model takes as an input. "
        f"It has {listed(file.headers)}.",
        hint=f"Store one array for each input: {', '.join(inputs)}; or name them: "
        f"--data {file.path}:{','.join(name.upper() for name in inputs)}",
    )


def listed(headers: Mapping[str, Header]) -> str:
    """Arrays with their shapes, for messages."""
    return (
        ", ".join(f"{name} {header.dtype}{list(header.shape)}" for name, header in headers.items())
        or "no array"
    )


def _check_lengths(columns: Mapping[str, Column], labels: Column | None, path: Path) -> None:
    every = [*columns.values(), *([labels] if labels else [])]
    if len({column.count for column in every}) > 1:
        counts = ", ".join(f"{quoted(column.field.origin)} {column.count}" for column in every)
        raise InputError(
            f"The arrays in {quoted(path)} have different numbers of samples: {counts}.",
            hint="Samples lie along the first axis of every array.",
        )


def _named(file: NpzFile, inputs: Sequence[str], names: Sequence[str]) -> Arrays:
    for name in names:
        if name not in file.headers:
            raise UsageError(
                f"--data: {quoted(file.path)} has no array {quoted(name)}.",
                hint=f"It has {listed(file.headers)}.",
            )
    if len(names) not in (len(inputs), len(inputs) + 1):
        raise UsageError(
            f"--data names {len(names)} arrays, and the model has {len(inputs)} inputs: {', '.join(inputs)}.",
            hint="Name one array for each input in this order, then the labels if they are wanted.",
        )
    pairs = dict(zip(inputs, names, strict=False))
    return Arrays(pairs, names[-1] if len(names) > len(inputs) else "")


def _usual(file: NpzFile, given: str) -> Arrays:
    lower = {name.lower(): name for name in file.headers}
    for samples, labels in PAIRS:
        if samples in lower:
            return Arrays({given: lower[samples]}, lower.get(labels) or _label_among(file.headers, samples))
    if len(file.headers) == 1:
        return Arrays({given: next(iter(file.headers))}, "")
    raise InputError(
        f"{quoted(file.path)} has no array {quoted(given)} as the model's input is named, nor a usual name "
        f"(x_train, x, images, data, ...). It has {listed(file.headers)}.",
        hint=f"Name the array, then the labels if there are any: --data {file.path}:NAME,LABELS",
    )


def _label_among(names: Sequence[str] | Mapping[str, object], samples: str = "x") -> str:
    """The array of labels that goes with one of samples by its name, empty for none.

    Labels of the test samples are none for the training samples.
    """
    part = next((part for part in ("train", "test") if part in samples), "")
    usual = [
        label for _, label in PAIRS if part in label and bool(part) == ("train" in label or "test" in label)
    ]
    lower = {name.lower(): name for name in names}
    return next((lower[label] for label in usual if label in lower), "")
