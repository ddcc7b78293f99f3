"""Images as arrays ``(n, height, width, channels)``: channels, sizes, margins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from onnxprune.calibration.pillow import pillow
from onnxprune.calibration.steps import Size, Steps
from onnxprune.errors import InputError
from onnxprune.model.constants import Array

GRAY, COLOUR = 1, 3

_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in the brightness (ITU-R BT.601), those that Pillow uses."""


def reshaped(images: Array, steps: Steps) -> Array:
    """Do what the steps say about pixels, before their values are scaled.

    Args:
        images: (n, height, width, channels).
        steps: the wanted ones.

    Raises:
        InputError: images are smaller than what is to be cut out of them, or have other channels than the
            step can work with.
    """
    images = _CHANNELS[steps.channels](images)
    if steps.resize:
        images = _resized(images, steps.resize, steps.interpolation)
    if steps.crop:
        images = _cropped(images, steps.crop)
    if steps.pad:
        rows, columns = _both(steps.pad)
        images = np.pad(images, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    return images


def _as_they_are(images: Array) -> Array:
    return images


def _rgb(images: Array) -> Array:
    if images.shape[-1] == GRAY:
        return np.repeat(images, COLOUR, axis=-1)
    return _colours(images, "rgb")


def _bgr(images: Array) -> Array:
    return _rgb(images)[..., ::-1]


def _gray(images: Array) -> Array:
    if images.shape[-1] == GRAY:
        return images
    bright: Array = _colours(images, "gray").astype(np.float64) @ _LUMA
    whole = np.issubdtype(images.dtype, np.integer)
    return np.asarray(np.rint(bright) if whole else bright, images.dtype)[..., None]


_CHANNELS: Mapping[str, Callable[[Array], Array]] = {
    "auto": _as_they_are,
    "rgb": _rgb,
    "bgr": _bgr,
    "gray": _gray,
}


def _colours(images: Array, wanted: str) -> Array:
    """Red, green and blue; a fourth channel, transparency, is left out."""
    if images.shape[-1] not in (COLOUR, COLOUR + 1):
        raise InputError(
            f"--preprocess: channels={wanted} needs 1 or 3 channels, the images have {images.shape[-1]}.",
            hint="Leave channels out where the images have what the model takes.",
        )
    return images[..., :COLOUR]


def _both(size: Size) -> tuple[int, int]:
    return (size[0], size[-1])


def _cropped(images: Array, size: Size) -> Array:
    height, width = images.shape[1:3]
    rows, columns = _both(size)
    if rows > height or columns > width:
        raise InputError(
            f"--preprocess: crop={rows}x{columns} is larger than the images, which are {height}x{width}.",
            hint="Make them larger first, with resize, or crop less.",
        )
    top, left = round((height - rows) / 2), round((width - columns) / 2)
    return images[:, top : top + rows, left : left + columns]


def _resized(images: Array, size: Size, interpolation: str) -> Array:
    """Resample as Pillow does, smoothing where images shrink."""
    height, width = images.shape[1:3]
    rows, columns = _target(height, width, size)
    if (rows, columns) == (height, width):
        return images
    image = pillow("--preprocess: resize")
    how = image.Resampling[interpolation.upper()]
    whole = np.issubdtype(images.dtype, np.integer) and images.dtype != np.uint8
    made = np.empty((len(images), rows, columns, images.shape[-1]), images.dtype)
    for own, out in zip(images, made, strict=True):
        for channel in range(own.shape[-1]):
            plane = own[..., channel] if own.dtype == np.uint8 else own[..., channel].astype(np.float32)
            found = np.asarray(image.fromarray(plane).resize((columns, rows), how))
            out[..., channel] = np.rint(found) if whole else found
    return made


def _target(height: int, width: int, size: Size) -> Size:
    """Height and width that are asked for; with one number the shorter side gets it."""
    if len(size) > 1:
        return size
    short, long = sorted((height, width))
    other = int(size[0] * long / short)
    return (size[0], other) if height <= width else (other, size[0])
