"""Samples in a folder of images, one subfolder a class or all in one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.calibration.model_inputs import ModelInput
from onnxprune.calibration.pillow import pillow
from onnxprune.calibration.pixels import reshaped
from onnxprune.calibration.sources import Request, Source
from onnxprune.calibration.steps import Steps
from onnxprune.calibration.tables import ArrayColumn, Field
from onnxprune.coupling.groups import Indices
from onnxprune.errors import InputError
from onnxprune.model.constants import Array
from onnxprune.model.naming import quoted

SUFFIXES = frozenset(".jpg .jpeg .png .bmp .webp .tif .tiff .ppm .pgm .gif".split())

_MODES: Mapping[str, str] = {"gray": "L", "rgb": "RGB", "bgr": "RGB"}
_MODES_BY_CHANNELS: Mapping[int | None, str] = {1: "L", 4: "RGBA"}
_NUMBER_HINT = "Give folders named by their class numbers, or one folder for each class of the model."


@dataclass(frozen=True)
class Listing:
    """The images of a folder.

    Attributes:
        paths: in order: by class, then by name.
        classes: names of the class folders, none for a flat folder.
        sizes: number of images in each of them.
    """

    paths: tuple[Path, ...]
    classes: tuple[str, ...]
    sizes: tuple[int, ...]


class ImageTable:
    """Images that are decoded when they are read, all in one size.

    Args:
        paths: of the images.
        given: the input that they are for.
        steps: what is done to their pixels.
    """

    def __init__(self, paths: Sequence[Path], given: ModelInput, steps: Steps) -> None:
        self._paths = paths
        self._name = given.name
        self._steps = steps
        self._mode = _mode(given, steps)
        self.count = len(paths)
        first = self._image(paths[0])
        self.fields = {given.name: Field(first.shape, first.dtype, str(paths[0].parent))}

    def read(self, rows: Indices, size: int) -> Iterator[Mapping[str, Array]]:
        """The images at the given positions, (n, height, width, channels).

        Raises:
            InputError: one cannot be read, or has another size than the first.
        """
        for start in range(0, len(rows), size):
            yield {self._name: np.stack([self._like_first(row) for row in rows[start : start + size]])}

    def _like_first(self, row: int) -> Array:
        image, wanted = self._image(self._paths[row]), self.fields[self._name].shape
        if image.shape != wanted:
            raise InputError(
                f"{quoted(self._paths[row])} is {_spelled(image.shape)}, and the first image "
                f"{quoted(self._paths[0])} is {_spelled(wanted)}.",
                hint="Bring them to one size: add resize=256,crop=224 or resize=224x224 to --preprocess.",
            )
        return image

    def _image(self, path: Path) -> Array:
        pixels = np.asarray(_decoded(path, self._mode))
        image: Array = reshaped(pixels.reshape(1, *pixels.shape[:2], -1), self._steps)[0]
        return image


def image_source(folder: Path, request: Request) -> Source:
    """The images of a folder as samples.

    Raises:
        InputError: there are none, or they cannot be read.
        MissingExtraError: Pillow is not installed.
        UsageError: the model has several inputs.
    """
    given = request.only_input("A folder of images")
    listing = list_images(folder)
    table = ImageTable(listing.paths, given, request.steps[given.name])
    labels, missing = _labels(listing, request.classes)
    noted = () if request.labels == "none" or not (listing.classes and missing) else (missing,)
    column = None if labels is None else ArrayColumn(labels, str(folder))
    return Source(table, column, str(folder), images=True, missing_labels=missing, notes=noted)


def list_images(folder: Path) -> Listing:
    """The images of a folder: those in its subfolders, each a class, or its own.

    Raises:
        InputError: there are none, or some lie in the folder and some in subfolders.
    """
    flat = _images(folder)
    below = {path.name: _images(path) for path in _folders(folder)}
    classes = {name: below[name] for name in sorted(below, key=_class_order) if below[name]}
    if flat and classes:
        raise InputError(
            f"{quoted(folder)} holds images, and so does its subfolder {quoted(next(iter(classes)))}.",
            hint="Either all images lie in one folder, or each in the subfolder of its class.",
        )
    if not flat and not classes:
        raise InputError(
            f"{quoted(folder)} holds no images, nor do its subfolders ({', '.join(sorted(SUFFIXES))}).",
            hint=_deeper(folder),
        )
    paths = tuple(flat) if flat else tuple(path for own in classes.values() for path in own)
    return Listing(paths, tuple(classes), tuple(len(own) for own in classes.values()))


def _labels(listing: Listing, classes: int | None) -> tuple[Indices | None, str]:
    """The class of each image, or why there is none."""
    if not listing.classes:
        return None, "the images lie in one folder; classes are told by subfolders"
    if all(name.isdecimal() for name in listing.classes):
        return np.repeat([int(name) for name in listing.classes], listing.sizes), ""
    if classes is not None and len(listing.classes) != classes:
        return None, (
            f"{len(listing.classes)} class folders do not match the {classes} classes of the model, "
            f"so the images count as unlabelled. {_NUMBER_HINT}"
        )
    return np.repeat(np.arange(len(listing.classes)), listing.sizes), ""


def _class_order(name: str) -> tuple[int, str]:
    """Class numbers by value, names by spelling."""
    return (int(name) if name.isdecimal() else -1, name)


def _images(folder: Path) -> list[Path]:
    found = (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _deeper(folder: Path) -> str:
    """The first folder further down that would do."""
    for below in sorted(_folders(folder)):
        if any(_images(path) for path in _folders(below)):
            return f"Did you mean --data {below}?"
    return "Give the folder that holds the images, or one subfolder of images for each class."


def _mode(given: ModelInput, steps: Steps) -> str:
    """How Pillow decodes: gray, colour, or with transparency."""
    if steps.channels in _MODES:
        return _MODES[steps.channels]
    row = given.row or ()
    told = [size for size in (row[:1] + row[-1:]) if size in _MODES_BY_CHANNELS] if len(row) == 3 else []
    return _MODES_BY_CHANNELS[told[0]] if told else "RGB"


def _decoded(path: Path, mode: str) -> Any:
    module = pillow("--data with a folder of images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd, harmless metadata
            warnings.simplefilter("error", module.DecompressionBombWarning)
            with module.open(path) as image:
                return image.convert(mode)
    except MemoryError:
        raise
    except Exception as exc:  # its decoders raise anything over files that are damaged
        raise InputError(
            f"The image {quoted(path)} cannot be read: {exc}.", hint="Remove it, or store it again."
        ) from exc


def _spelled(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
