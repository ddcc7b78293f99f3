"""Which changes of images training makes, as they are written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from onnxprune.errors import UsageError

PRESETS: Mapping[str, str] = {"none": "", "cifar": "flip,crop=4"}
"""Nothing; what is usual for CIFAR (He et al. 2016, arXiv 1512.03385)."""

_HINT = "An example: --augment flip,crop=4,cutout=8; cifar is flip,crop=4; none changes nothing."


@dataclass(frozen=True)
class Augment:
    """Random changes of images, drawn for each sample in each epoch.

    Attributes:
        flip: whether half of the images are mirrored.
        crop: pixels of margin that are added on each side before a part of the old size is cut out.
        cutout: side in pixels of a square that is made black (DeVries and Taylor 2017, arXiv 1708.04552).
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0

    @property
    def changes(self) -> bool:
        """Whether anything is done at all."""
        return self.flip or bool(self.crop) or bool(self.cutout)


def parse_augment(text: str) -> Augment:
    """Read a specification: words and ``name=pixels``, divided by commas.

    Raises:
        UsageError: it makes no sense.
    """
    found = Augment()
    for part in _parts(text):
        name, equals, value = part.partition("=")
        if name == "flip" and not equals:
            found = replace(found, flip=True)
        elif name in _SIZES and value.isdecimal() and int(value) > 0:
            found = replace(found, **{name: int(value)})  # type: ignore[arg-type]
        else:
            raise UsageError(f"--augment {text!r}: {part!r} makes no sense.", hint=_HINT)
    return found


_SIZES = frozenset(field.name for field in fields(Augment)) - {"flip"}


def _parts(text: str) -> list[str]:
    words = [part.strip().lower() for part in text.split(",")]
    spelled = ",".join(PRESETS.get(word, word) for word in words)
    return [part for part in spelled.split(",") if part]
