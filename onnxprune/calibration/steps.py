"""What is done to stored values before a model is fed with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

Size: TypeAlias = tuple[int, ...]
"""One number for the shorter side or for all sides, or height and width."""


@dataclass(frozen=True)
class Steps:
    """What is done to the samples of one input.

    In this order: channels, resize, crop, pad, then ``(value * scale - mean) / std``, then the layout.

    Attributes:
        channels: ``rgb``, ``bgr`` or ``gray``; ``auto`` for what the input takes.
        resize: one number for the shorter side, or height and width, in pixels.
        interpolation: how sizes are changed.
        crop: height and width of the part taken from the middle, in pixels.
        pad: rows and columns of zeros added on each side, in pixels.
        scale: factor of every value.
        mean: subtracted after scaling; one number, or one a channel.
        std: divided by at the end; one number, or one a channel.
        layout: of the input; ``auto`` reads it off its shape.
        values_stated: whether the user has said what the values become, if only that they stay.
    """

    channels: str = "auto"
    resize: Size | None = None
    interpolation: str = "bilinear"
    crop: Size | None = None
    pad: Size | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "auto"
    values_stated: bool = False

    @property
    def changes_pixels(self) -> bool:
        """Whether anything is done that needs to know where height, width and channels are."""
        return self.channels != "auto" or any((self.resize, self.crop, self.pad))

    @property
    def for_values(self) -> Steps:
        """What is left once the pixels are as they should be."""
        return replace(self, channels="auto", resize=None, crop=None, pad=None)

    @property
    def changes_values(self) -> bool:
        """Whether values are scaled or shifted."""
        plain = Steps()
        return (self.scale, self.mean, self.std) != (plain.scale, plain.mean, plain.std)


@dataclass(frozen=True)
class Preprocess:
    """The steps for every input.

    Attributes:
        common: for the input that no other steps name.
        by_input: for single inputs, by name.
    """

    common: Steps | None = None
    by_input: Mapping[str, Steps] = field(default_factory=dict)
