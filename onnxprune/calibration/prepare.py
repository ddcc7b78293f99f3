"""From stored values to the input of a model: layout, pixels, values, type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from onnxprune.calibration.model_inputs import ModelInput
from onnxprune.calibration.pixels import reshaped
from onnxprune.calibration.steps import Steps
from onnxprune.calibration.tables import Field
from onnxprune.errors import InputError, UsageError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted

FEW = (1, 3, 4)
"""Numbers of channels that images come with: gray, colours, colours and transparency."""

_ROW = 3
"""Axes of one image."""

_TO_LAST = {"nchw": (0, 2, 3, 1), "nhwc": (0, 1, 2, 3)}
_FROM_LAST = {"nchw": (0, 3, 1, 2), "nhwc": (0, 1, 2, 3)}

Move = Callable[[Array], Array]


@dataclass(frozen=True)
class Prepare:
    """Makes stored samples into what an input takes.

    Attributes:
        input: what takes them.
        field: how they are stored.
        steps: what is done.
        stored: layout of stored images, empty for what is no image.
        layout: that the images get.
    """

    input: ModelInput
    field: Field
    steps: Steps
    stored: str
    layout: str

    def __call__(self, values: Array) -> Array:
        """The samples as the input takes them.

        Args:
            values: (n, ...) as stored.

        Raises:
            InputError: they do not fit.
        """
        values = self._image(values) if self.stored else self._numbers(values)
        row = self.input.row
        if row is not None and not self.input.fits(values.shape[1:]):
            values = _refolded(values, row) if self._may_refold(values) else values
        if not self.input.fits(values.shape[1:]):
            raise self._misfit(values.shape[1:])
        return self._typed(values)

    def _image(self, values: Array) -> Array:
        plain = values.ndim == _ROW  # no axis of channels
        values = values[..., None] if plain else values.transpose(_TO_LAST[self.stored])
        values = _scaled(reshaped(values, self.steps), self.steps, self.field)
        return values.transpose(_FROM_LAST[self.layout])

    def _numbers(self, values: Array) -> Array:
        return _scaled(values, self.steps, self.field)

    def _may_refold(self, values: Array) -> bool:
        """Whether another shape is only another way to write it: axes of length one, or a flat vector."""
        row = self.input.row or ()
        flat = len(row) == 1 and (self.steps.layout != "auto" or 1 in values.shape[1:] or not self.stored)
        return flat or _long(values.shape[1:]) == _long(row)

    def _typed(self, values: Array) -> Array:
        """In the type of the input.

        Raises:
            InputError: floats for an input of integers, or values beyond its range.
        """
        wanted = self.input.dtype
        if wanted.kind not in "iu" or np.can_cast(values.dtype, wanted):
            return np.ascontiguousarray(values, wanted)
        if values.dtype.kind == "f" and not self.steps.changes_values:
            raise InputError(
                f"{quoted(self.field.origin)} holds {values.dtype} values, but the input "
                f"{quoted(self.input.name)} takes whole numbers ({wanted}).",
                hint="Store them as integers, or say with scale and mean how they become integers.",
            )
        values, bounds = np.rint(values), np.iinfo(wanted)
        if values.size and (values.min() < bounds.min or values.max() > bounds.max):
            raise InputError(
                f"{quoted(self.field.origin)} has values from {values.min():g} to {values.max():g}, but the "
                f"input {quoted(self.input.name)} is {wanted}.",
                hint="Check --preprocess: scale and mean.",
            )
        return np.ascontiguousarray(values, wanted)

    def _misfit(self, shape: tuple[int, ...]) -> InputError:
        row = self.input.row or ()
        became = "" if shape == self.field.shape else f" and become {_spelled(shape)}"
        return InputError(
            f"Samples in {quoted(self.field.origin)} are {_spelled(self.field.shape)}{became}, but the input "
            f"{quoted(self.input.name)} of the model takes {_spelled(row)}.",
            hint=_remedy(self, shape, row),
        )


def prepare(given: ModelInput, field: Field, steps: Steps, *, image: bool = False) -> Prepare:
    """How the samples of a column become an input.

    Args:
        given: the input.
        field: the column.
        steps: what is to be done.
        image: whether they are images, channels last, to whose pixels the steps were applied already.

    Raises:
        UsageError: a step that only makes sense for images, on what is none; or a layout that nobody tells.
    """
    steps = steps.for_values if image else steps
    stored = "nhwc" if image else _stored(given, field.shape, steps)
    if not stored:
        if steps.changes_pixels:
            raise UsageError(
                f"--preprocess: channels, resize, crop and pad are for images, and "
                f"{quoted(field.origin)} holds {_spelled(field.shape)} for each sample.",
                hint="Leave them out; scale, mean and std work on all values.",
            )
        return Prepare(given, field, steps, "", "")
    return Prepare(given, field, steps, stored, _layout(given, steps, stored, image=image))


def _stored(given: ModelInput, shape: tuple[int, ...], steps: Steps) -> str:
    """The layout that images are stored in, empty for what is no image."""
    if len(shape) == _ROW - 1 and (given.is_image or steps.changes_pixels):
        return "nhwc"
    if len(shape) != _ROW:
        return ""
    first, last = shape[0] in FEW, shape[-1] in FEW
    if first != last:
        return "nchw" if first else "nhwc"
    own = _declared(given)
    if own and given.fits(shape):
        return own
    return "nhwc" if last else ""


def _declared(given: ModelInput) -> str:
    """The layout that an input's own shape tells, empty where it does not."""
    row = given.row
    if row is None or len(row) != _ROW:
        return ""
    first, last = row[0] in FEW, row[-1] in FEW
    if first != last:
        return "nchw" if first else "nhwc"
    return ""


def _layout(given: ModelInput, steps: Steps, stored: str, *, image: bool) -> str:
    """The layout that an input takes.

    Raises:
        UsageError: for images whose place of the channels neither the model nor the user tells.
    """
    if steps.layout != "auto":
        return steps.layout
    row = given.row
    declared = _declared(given)
    if declared:
        return declared
    if row is not None and len(row) == _ROW and row[0] == row[-1] and row[0] is not None:
        return "nchw"
    if image and given.is_image:
        raise UsageError(
            f"The input {quoted(given.name)} does not tell where its channels are.",
            hint="Add layout=nchw (channels first) or layout=nhwc (channels last) to --preprocess.",
        )
    return stored


def _scaled(values: Array, steps: Steps, field: Field) -> Array:
    """``(value * scale - mean) / std``, channels along the last axis.

    Raises:
        InputError: mean or std have other channels.
    """
    if not steps.changes_values:
        return values
    mean, std = np.array(steps.mean), np.array(steps.std)
    count = max(len(mean), len(std))
    if count not in (1, values.shape[-1]):
        raise InputError(
            f"--preprocess: mean and std are given for {count} channels, {quoted(field.origin)} has "
            f"{values.shape[-1]}.",
            hint="Give one number, or one a channel.",
        )
    kind: type[np.floating] = np.float64 if values.dtype == np.float64 else np.float32
    factor, shift = np.asarray(steps.scale / std, kind), np.asarray(-mean / std, kind)
    scaled: Array = np.asarray(values, kind) * factor
    return scaled + shift


def _refolded(values: Array, row: tuple[int | None, ...]) -> Array:
    """The same numbers in the shape that is taken, if they are as many."""
    count = prod(values.shape[1:])
    known = prod(size for size in row if size is not None)
    if sum(size is None for size in row) > 1 or not known or count % known:
        return values
    sizes = [count // known if size is None else size for size in row]
    return values.reshape(len(values), *sizes) if prod(sizes) == count else values


def _long(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The axes that are not of length one."""
    return tuple(size for size in shape if size != 1)


def _spelled(shape: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape) or "single numbers"


def _remedy(own: Prepare, shape: tuple[int, ...], row: tuple[int | None, ...]) -> str:
    """What the user may add for samples that do not fit."""
    if not own.stored or len(row) != _ROW or len(shape) != _ROW:
        return "Each sample has to have the shape that the model takes; name the array with FILE.npz:NAME."
    place = 0 if own.layout == "nchw" else 2
    sizes = [(have, want) for axis, (have, want) in enumerate(zip(shape, row, strict=True)) if axis != place]
    if row[place] not in (None, shape[place]):
        wanted = {1: "gray", 3: "rgb"}.get(row[place] or 0)
        if wanted:
            return f"Add channels={wanted} to --preprocess."
        return "The number of channels differs; is this the data set that the model was trained on?"
    target = "x".join(str(have if want is None else want) for have, want in sizes)
    return f"Add resize={target} to --preprocess, or crop or pad, as the model was trained."
