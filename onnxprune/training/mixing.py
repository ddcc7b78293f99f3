"""Mixing the samples of a step in pairs: whole ones, or a box of one image put into the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from onnxprune.errors import UsageError
from onnxprune.training.images import Frame
from onnxprune.training.randomness import Purpose, generator
from onnxprune.training.settings import TrainSettings


class Mixture(NamedTuple):
    """How the samples of a step are mixed, each with the one before it.

    Attributes:
        share: of a sample itself; that of its area where a box is put into it.
        middle: of the box in rows and columns, as shares of the height and width; None for whole samples.
    """

    share: float = 1.0
    middle: tuple[float, float] | None = None


class Mixing:
    """Mixes samples by mixup, by CutMix, or by either, a coin deciding for each step.

    Zhang et al. 2018, arXiv 1710.09412; Yun et al. 2019, arXiv 1905.04899.

    Args:
        settings: parameters of the beta distributions that shares are drawn from.
        frames: the inputs that take images by position, None for the others.
        floating: for each input whether it takes fractions.

    Raises:
        UsageError: an input takes what cannot be mixed.
    """

    def __init__(
        self, settings: TrainSettings, frames: Sequence[Frame | None], floating: Sequence[bool]
    ) -> None:
        self._settings = settings
        self._frames = frames
        if settings.mixup and not all(floating):
            raise UsageError("--mixup mixes samples, and an input takes whole numbers.", hint="Leave it out.")
        if settings.cutmix and not all(frames):
            raise UsageError(
                "--cutmix puts parts of images into others, and an input of the model takes no images of "
                "floating point.",
                hint="Leave it out.",
            )

    @property
    def pairs(self) -> bool:
        """Whether samples are mixed at all."""
        return bool(self._settings.mixup or self._settings.cutmix)

    def drawn(self, epoch: int, steps: int) -> list[Mixture]:
        """The mixtures of an epoch, one for each step."""
        own = self._settings
        whole = [Mixture()] * steps
        if own.mixup:
            shares = generator(own.seed, Purpose.MIXUP, epoch).beta(own.mixup, own.mixup, steps)
            whole = [Mixture(float(share)) for share in np.maximum(shares, 1 - shares)]
        if not own.cutmix:
            return whole
        rng = generator(own.seed, Purpose.CUTMIX, epoch)
        shares, middles = rng.beta(own.cutmix, own.cutmix, steps), rng.random((steps, 2))
        boxes = [
            Mixture(float(share), (float(row), float(column)))
            for share, (row, column) in zip(shares, middles, strict=True)
        ]
        if not own.mixup:
            return boxes
        cut = rng.random(steps) < 0.5
        return [b if heads else w for heads, b, w in zip(cut, boxes, whole, strict=True)]

    def __call__(self, inputs: Sequence[Tensor], mixture: Mixture) -> tuple[tuple[Tensor, ...], float]:
        """Each sample but the first one, mixed with the one before it.

        Args:
            inputs: one more sample than are wanted.
            mixture: how.

        Returns:
            The mixed inputs, and the share of the samples themselves: of whole pixels where a box is cut at
            the edges.
        """
        share = mixture.share
        if mixture.middle is None:
            return tuple(share * x[1:] + (1 - share) * x[:-1] for x in inputs), share
        found = [_boxed(x, mixture, frame) for x, frame in zip(inputs, self._frames, strict=True) if frame]
        return tuple(x for x, _ in found), found[0][1]


def _boxed(x: Tensor, mixture: Mixture, frame: Frame) -> tuple[Tensor, float]:
    """Images with a box of the ones before them, and the share of their area that is their own."""
    assert mixture.middle is not None
    first = 1 if frame.channels_last else 2
    height, width = x.shape[first : first + 2]
    side = (1 - mixture.share) ** 0.5
    (top, bottom), (left, right) = (
        _span(size, side * size, middle * size)
        for size, middle in zip((height, width), mixture.middle, strict=True)
    )
    rows, columns = slice(top, bottom), slice(left, right)
    box = (slice(None), rows, columns) if frame.channels_last else (slice(None), slice(None), rows, columns)
    mixed = x[1:].clone()
    mixed[box] = x[:-1][box]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _span(size: int, side: float, middle: float) -> tuple[int, int]:
    """Where a side of the box begins and ends, cut at the edges of the image."""
    start = round(middle - side / 2)
    return max(0, start), min(size, start + round(side))
