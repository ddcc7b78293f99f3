"""Random changes of images, drawn for each sample of an epoch and done for a whole batch at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from onnxprune.calibration.model_inputs import ModelInput
from onnxprune.calibration.prepare import FEW
from onnxprune.errors import UsageError
from onnxprune.training.augmentation import Augment
from onnxprune.training.pool import Pool, Portion
from onnxprune.training.randomness import Purpose, generator

_IMAGE_RANK = 4


class Frame(NamedTuple):
    """An input that takes images.

    Attributes:
        channels_last: whether the channels are its last axis.
        black: (channels,) value of what is added around an image.
    """

    channels_last: bool
    black: Tensor


class Draws(NamedTuple):
    """What was drawn for all samples in one epoch, each (samples,)."""

    flip: Tensor
    down: Tensor
    right: Tensor
    hole_row: Tensor
    hole_column: Tensor


class Augmenter:
    """Takes samples out of a pool and changes those that are images.

    Args:
        augment: what is done.
        frames: the image inputs by position, None for the others.
        count: number of samples.
        seed: of the draws.
        device: that the results are on.
    """

    def __init__(
        self,
        augment: Augment,
        frames: Sequence[Frame | None],
        count: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self._augment = augment
        self._frames = [f and Frame(f.channels_last, f.black.to(device)) for f in frames]
        self._count = count
        self._seed = seed
        self._device = device
        self._draws: Draws | None = None

    def begin(self, epoch: int) -> None:
        """Draw for an epoch."""
        if not self._augment.changes:
            return
        rng, own = generator(self._seed, Purpose.IMAGES, epoch), self._augment
        parts = (
            (rng.random(self._count) < 0.5) if own.flip else np.zeros(self._count, np.bool_),
            rng.integers(-own.crop, own.crop + 1, self._count),
            rng.integers(-own.crop, own.crop + 1, self._count),
            rng.random(self._count),
            rng.random(self._count),
        )
        self._draws = Draws(*(torch.from_numpy(part).to(self._device) for part in parts))

    def __call__(self, portion: Portion) -> tuple[Tensor, ...]:
        """The inputs of a portion."""
        return tuple(
            self._changed(x, portion, frame) if frame and self._draws else _plain(x, portion, self._device)
            for x, frame in zip(portion.pool.inputs, self._frames, strict=True)
        )

    def _changed(self, pool: Tensor, portion: Portion, frame: Frame) -> Tensor:
        """Mirrored, moved and holed images, read from the pool in one go."""
        assert self._draws is not None
        draws = Draws(*(draw[portion.positions] for draw in self._draws))
        height, width = pool.shape[1:3] if frame.channels_last else pool.shape[2:4]
        down, across = (torch.arange(size, device=self._device) for size in (height, width))
        rows = down + draws.down[:, None]
        columns = torch.where(draws.flip[:, None], width - 1 - across, across) + draws.right[:, None]
        inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
        if self._augment.cutout:
            inside = inside & ~self._hole(draws, height, width)
        picked = (
            portion.rows[:, None, None],
            rows.clamp(0, height - 1)[:, :, None].to(pool.device),
            columns.clamp(0, width - 1)[:, None, :].to(pool.device),
        )
        found = pool[picked] if frame.channels_last else pool[picked[0], :, picked[1], picked[2]]
        found = found.to(self._device, non_blocking=True)
        found = torch.where(inside[..., None], found, frame.black.to(found.dtype))
        return found if frame.channels_last else found.permute(0, 3, 1, 2)

    def _hole(self, draws: Draws, height: int, width: int) -> Tensor:
        """Where the squares are that are cut out; they may reach over the edge."""
        half = self._augment.cutout / 2
        sides = []
        for drawn, size in ((draws.hole_row, height), (draws.hole_column, width)):
            middle = (drawn * size).floor()[:, None] + 0.5
            at = torch.arange(size, device=self._device) + 0.5
            sides.append((at - middle).abs() <= half)
        return sides[0][:, :, None] & sides[1][:, None, :]


def _plain(pool: Tensor, portion: Portion, device: torch.device) -> Tensor:
    return pool.index_select(0, portion.rows).to(device, non_blocking=True)


def _within(at: Tensor, size: int) -> Tensor:
    return (at >= 0) & (at < size)


def frames_of(
    inputs: Sequence[ModelInput], first: Pool, black: Mapping[str, np.ndarray], augment: Augment
) -> list[Frame | None]:
    """Which inputs take images, and what black is there.

    Args:
        inputs: of the model, in the module's order.
        first: samples.
        black: what zeros become by input; where that is not known it is the least value of each channel.
        augment: what is to be done.

    Raises:
        UsageError: images are to be changed, and no input takes any.
    """
    frames = [_frame(own, x, black.get(own.name)) for own, x in zip(inputs, first.inputs, strict=True)]
    if augment.changes and not any(frames):
        raise UsageError(
            "--augment changes images, and no input of the model takes images.", hint="Leave it out."
        )
    return frames


def _frame(own: ModelInput, samples: Tensor, black: np.ndarray | None) -> Frame | None:
    if samples.dim() != _IMAGE_RANK or not samples.is_floating_point():
        return None
    shape = tuple(samples.shape[1:])
    last = shape[-1] in FEW and shape[0] not in FEW
    if black is not None:
        corner = black[0, 0] if last else black[:, 0, 0]
        return Frame(last, torch.from_numpy(np.array(corner)))
    axes = (0, 1, 2) if last else (0, 2, 3)
    return Frame(last, samples.amin(axes).cpu())
