"""Opens samples wherever they are: files, folders, functions, arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from onnxprune.calibration.arrays import array_source, is_arrays
from onnxprune.calibration.choosing import chosen, taken
from onnxprune.calibration.function_source import PATTERN, function_source
from onnxprune.calibration.image_source import image_source
from onnxprune.calibration.labels import Labels, class_indices
from onnxprune.calibration.npz_source import ENDINGS, array_file_source, divided
from onnxprune.calibration.prepare import Prepare, prepare
from onnxprune.calibration.preprocess import Given, parse_preprocess
from onnxprune.calibration.samples import Samples
from onnxprune.calibration.sources import Request, Source
from onnxprune.calibration.stored import StoredSamples
from onnxprune.calibration.tables import Held
from onnxprune.coupling.groups import Indices
from onnxprune.errors import InputError, UsageError
from onnxprune.model import Model
from onnxprune.model.naming import quoted

Spec: TypeAlias = Any
"""Text or path that says where samples are, an array, a dict of arrays by input name, a pair of one of these
and labels, or ``Samples``."""

_LONGEST_TOLD = 200

_KINDS = "--data takes an .npz file, a folder of images, or a function as package.module:function."


def open_samples(
    spec: Spec,
    model: Model,
    *,
    preprocess: Given | None = None,
    count: int | None = None,
    seed: int = 0,
    labels: Labels = "auto",
) -> Samples:
    """Samples for a model, ready to be fed.

    Args:
        spec: where they are, or they themselves:

            - ``FILE.npz``: the array named as the input, else the first of the usual names (``x_train``,
              ``x``, ``images``, ...), and the labels that go with it; ``FILE.npz:NAME,LABELS`` names them;
            - a folder of images, one subfolder for each class or all in one;
            - ``package.module:function``: called without arguments, gives batches;
            - an array, a dict of arrays by input name, or a pair of one of these and labels;
            - ``Samples``, which are fed as they are.
        model: that they are for.
        preprocess: what is done to them: text as ``--preprocess`` takes it, path of a ``.toml`` file, or a
            mapping; see ``parse_preprocess``.
        count: how many are taken, None for all. The seed decides which; their order stays. Of a function
            the first ones are taken.
        seed: of the choice.
        labels: ``auto`` takes labels where there are some, ``required`` raises where there are none,
            ``none`` leaves them alone.

    Raises:
        InputError: they cannot be read, or do not fit the model.
        UsageError: the specification makes no sense, or labels are required that are not there.
        MissingExtraError: images need Pillow, and it is not installed.
    """
    if isinstance(spec, Samples):
        return _given(spec, preprocess, count, seed)
    request = Request(model, parse_preprocess(preprocess), count, labels)
    source = _find(spec, request)
    rows = chosen(source.table.count, count, seed)
    preparing = {own.name: _prepare(source, request, own.name) for own in request.inputs}
    samples = StoredSamples(
        source.table,
        preparing,
        rows,
        _labels(source, request),
        _describe(source, rows, seed),
        (*source.notes, *_notes(source, preparing, request)),
    )
    next(samples.batches(1))  # what does not fit is told before anything else is done
    return samples if source.in_memory else replace(samples, table=Held(source.table, rows))


def notes_of(samples: Samples) -> tuple[str, ...]:
    """What the user should know about samples that were opened here."""
    return samples.notes if isinstance(samples, StoredSamples) else ()


def _given(samples: Samples, preprocess: Given | None, count: int | None, seed: int) -> Samples:
    """Samples that need nothing more, or as many of them as are wanted."""
    if preprocess is not None:
        raise UsageError(
            "preprocess is for samples as they are stored; these are fed as they are.",
            hint="Do it where they are made, or give arrays.",
        )
    return (
        samples
        if count is None or count >= samples.count
        else taken(samples, chosen(samples.count, count, seed))
    )


def _find(spec: Spec, request: Request) -> Source:
    """The samples that a specification means.

    Raises:
        InputError: there is nothing of that name, or it is of no known kind.
        UsageError: it is no specification.
    """
    if is_arrays(spec):
        return array_source(spec, request)
    if not isinstance(spec, str | os.PathLike):
        raise UsageError(f"Samples cannot be a {type(spec).__name__}.", hint=_KINDS)
    text = os.fspath(spec)
    path, names = divided(text)
    if path.is_dir():
        return image_source(path, request)
    if path.is_file():
        if path.suffix.lower() not in ENDINGS:
            raise InputError(f"--data {quoted(path)} is no {' or '.join(ENDINGS)} file.", hint=_KINDS)
        return array_file_source(path, names, request)
    if PATTERN.fullmatch(text):
        return function_source(text, request)
    raise InputError(f"--data {quoted(path)} does not exist.", hint=_KINDS)


def _prepare(source: Source, request: Request, name: str) -> Prepare:
    given = next(own for own in request.inputs if own.name == name)
    return prepare(given, source.table.fields[name], request.steps[name], image=source.images)


def _labels(source: Source, request: Request) -> Indices | None:
    """The class of every row of the table.

    Raises:
        InputError: they are no classes of the model.
        UsageError: they are required, and there are none.
    """
    if request.labels == "none":
        return None
    if source.labels is not None:
        return class_indices(source.labels, request.classes)
    if request.labels == "required":
        why = source.missing_labels or "there is no array of labels"
        raise UsageError(
            f"Labels are needed, and --data {source.name} has none: {why}.",
            hint="Name them as FILE.npz:SAMPLES,LABELS, use class subfolders, or give (inputs, labels).",
        )
    return None


def _describe(source: Source, rows: Indices, seed: int) -> str:
    if len(rows) == source.table.count:
        return f"{source.name}: all {len(rows)} samples"
    return f"{source.name}: {len(rows)} of {source.table.count} samples, seed {seed}"


def _notes(source: Source, preparing: Mapping[str, Prepare], request: Request) -> Iterator[str]:
    """What is worth a second look although it is no error."""
    for name, own in preparing.items():
        plain = source.table.fields[name].dtype == np.uint8 and own.input.dtype.kind == "f"
        if plain and not own.steps.values_stated:
            yield (
                f"the samples are bytes (0 to 255) and are fed to {quoted(name)} as they are"
                f"{_told(request.model)}; "
                "if the model was trained on scaled values say so, as with --preprocess scale=1/255; "
                "--preprocess raw states that they are right"
            )
    if request.count is not None and source.table.count < request.count:
        yield f"{request.count} samples were asked for, {source.name} has {source.table.count}"


def _told(model: Model) -> str:
    """What the model's own metadata say of its preprocessing."""
    for entry in model.proto.metadata_props:
        if "preprocess" in entry.key.lower():
            return f" (the file of the model says {entry.key}: {entry.value[:_LONGEST_TOLD]})"
    return ""
