"""Interpolation along one axis: which elements each new one is made of, and with which weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

_REPEATING = frozenset(
    {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil")}
)
"""Places and roundings that repeat each element where the factor is whole."""


class Sampling(NamedTuple):
    """How an axis is resampled; the fields are attributes of Resize.

    Attributes:
        mode: ``nearest``, ``linear`` or ``cubic``.
        places: ``coordinate_transformation_mode``.
        rounding: ``nearest_mode``.
        cubic: ``cubic_coeff_a``.
        exclude_outside: whether places outside have no weight, instead of the value at the border.
        outside: value outside the region of ``tf_crop_and_resize``.
        antialias: whether kernels widen where the axis shrinks.
    """

    mode: str
    places: str
    rounding: str
    cubic: float = -0.75
    exclude_outside: bool = False
    outside: float = 0.0
    antialias: bool = False

    @property
    def crops(self) -> bool:
        """Whether a region is cut out."""
        return self.places == "tf_crop_and_resize"

    @property
    def is_doubling(self) -> bool:
        """Whether whole factors repeat each element, as torch does it."""
        return self.mode == "nearest" and (self.places, self.rounding) in _REPEATING


class Axis(NamedTuple):
    """An axis that is resampled.

    Attributes:
        length: before.
        size: after.
        factor: by which it was asked to grow.
        region: part of it that is wanted.
    """

    length: int
    size: int
    factor: float
    region: tuple[float, float]


Places = Callable[[Tensor, Axis], Tensor]


def _symmetric(i: Tensor, a: Axis) -> Tensor:
    offset = a.length / 2 * (1 - a.size / (a.factor * a.length))
    return offset + (i + 0.5) / a.factor - 0.5


def _cropped(i: Tensor, a: Axis) -> Tensor:
    start, end = a.region
    if a.size == 1:
        return 0.5 * (start + end) * (a.length - 1) + 0 * i
    return start * (a.length - 1) + i * (end - start) * (a.length - 1) / (a.size - 1)


PLACES: Mapping[str, Places] = {
    "half_pixel": lambda i, a: (i + 0.5) / a.factor - 0.5,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda i, a: (i + 0.5) / a.factor - 0.5 if a.size > 1 else 0 * i,
    "align_corners": lambda i, a: i * ((a.length - 1) / max(a.size - 1, 1)),
    "asymmetric": lambda i, a: i / a.factor,
    "tf_half_pixel_for_nn": lambda i, a: (i + 0.5) / a.factor,
    "tf_crop_and_resize": _cropped,
}
"""Where each new element lies among the old ones."""

ROUNDINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "round_prefer_floor": lambda x: torch.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: torch.floor(x + 0.5),
    "floor": torch.floor,
    "ceil": torch.ceil,
}


def resized_axis(
    x: Tensor, axis: int, size: int, factor: float, sampling: Sampling, region: tuple[float, float]
) -> Tensor:
    """A tensor with one axis resampled.

    Args:
        x: any shape.
        axis: which.
        size: its new length.
        factor: new over old length, as it was asked for.
        sampling: how.
        region: for ``tf_crop_and_resize``, as parts of one.
    """
    one = Axis(x.shape[axis], size, factor, region)
    places = PLACES[sampling.places](torch.arange(size, dtype=torch.float64), one)
    y = (
        _nearest(x, axis, places, sampling)
        if sampling.mode == "nearest"
        else _mixed(x, axis, places, one, sampling)
    )
    if not sampling.crops:
        return y
    inside = ((places >= 0) & (places <= one.length - 1)).to(x.device)
    shape = [-1 if k == axis else 1 for k in range(x.dim())]
    return torch.where(inside.reshape(shape), y, torch.full_like(y, sampling.outside))


def _nearest(x: Tensor, axis: int, places: Tensor, sampling: Sampling) -> Tensor:
    index = ROUNDINGS[sampling.rounding](places).clamp(0, x.shape[axis] - 1)
    return x.index_select(axis, index.to(torch.int64).to(x.device))


def _mixed(x: Tensor, axis: int, places: Tensor, one: Axis, sampling: Sampling) -> Tensor:
    """Sums of neighbours times weights."""
    kernel, reach = KERNELS[sampling.mode]
    squeeze = min(one.factor, 1.0) if sampling.antialias else 1.0
    first = int(-(reach / squeeze) // 1) + 1
    offsets = torch.arange(first, 2 - first, dtype=torch.float64)
    base = torch.floor(places)
    taps = base.unsqueeze(1) + offsets
    weights = kernel((taps - places.unsqueeze(1)) * squeeze, sampling.cubic)
    outside = (taps < 0) | (taps > one.length - 1)
    if sampling.exclude_outside:
        weights = torch.where(outside, torch.zeros_like(weights), weights)
    weights = weights / weights.sum(1, keepdim=True)
    return _weighted(x, axis, taps.clamp(0, one.length - 1).to(torch.int64), weights)


def _weighted(x: Tensor, axis: int, taps: Tensor, weights: Tensor) -> Tensor:
    """``sum over k of weights[:, k] x[taps[:, k]]`` along an axis."""
    size, count = taps.shape
    picked = x.index_select(axis, taps.reshape(-1).to(x.device)).unflatten(axis, (size, count))
    shape = [1] * picked.dim()
    shape[axis], shape[axis + 1] = size, count
    return (picked * weights.to(x).reshape(shape)).sum(axis + 1)


def triangle(distance: Tensor, a: float) -> Tensor:
    """The kernel of linear interpolation."""
    return (1 - distance.abs()).clamp(min=0)


def keys(distance: Tensor, a: float) -> Tensor:
    """The cubic convolution kernel (Keys, 1981, https://doi.org/10.1109/TASSP.1981.1163711)."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


KERNELS: Mapping[str, tuple[Callable[[Tensor, float], Tensor], int]] = {
    "linear": (triangle, 1),
    "cubic": (keys, 2),
}
"""Each kernel with how far it reaches."""
