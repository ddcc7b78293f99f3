"""Resizing and sampling at given places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.operators.interpolation import Sampling, resized_axis
from onnxprune.torch_graph.registry import Ints, emitter, operator

_OLD = Sampling("nearest", "asymmetric", "floor")
"""What opsets before 11 mean."""


@emitter("Upsample", 7, 9)
def upsample(call: Call) -> Any:
    """Scales are an attribute in opset 7, an input in 9."""
    scales = call.floats(1) if call.has(1) else call.attribute("scales")
    sampling = _OLD._replace(mode=call.attribute("mode", "nearest"))
    return call.emit(resize_axes, call.tensor(0), None, scales, None, sampling)


@emitter("Resize", 10)
def resize_10(call: Call) -> Any:
    """Scales only, and one way to place the samples."""
    sampling = _OLD._replace(mode=call.attribute("mode", "nearest"))
    return call.emit(resize_axes, call.tensor(0), None, call.floats(1), None, sampling)


@emitter("Resize", 11, 13, 18, 19)
def resize(call: Call) -> Any:
    """To given sizes or by given scales, of all axes or of chosen ones."""
    sizes = call.ints(3)
    scales = call.floats(2) if not sizes else None
    roi = call.floats(1) if call.has(1) else None
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    axes = call.attribute("axes")
    if policy != "stretch":
        sizes = call.emit(keep_ratio, call.tensor(0), sizes, axes, larger=policy == "not_larger")
    return call.emit(resize_axes, call.tensor(0), sizes or None, scales, axes, sampling_of(call), roi)


def sampling_of(call: Call) -> Sampling:
    """How the attributes of a node want it."""
    return Sampling(
        call.attribute("mode", "nearest"),
        call.attribute("coordinate_transformation_mode", "half_pixel"),
        call.attribute("nearest_mode", "round_prefer_floor"),
        call.attribute("cubic_coeff_a", -0.75),
        bool(call.attribute("exclude_outside", 0)),
        call.attribute("extrapolation_value", 0.0),
        bool(call.attribute("antialias", 0)),
    )


def keep_ratio(x: Tensor, sizes: Ints, axes: Ints | None, *, larger: bool) -> list[int]:
    """Sizes with one scale for all axes, the largest that stays within them or the least that fills them."""
    chosen = range(x.dim()) if axes is None else axes
    ratios = [size / x.shape[axis] for size, axis in zip(sizes, chosen, strict=True)]
    scale = min(ratios) if larger else max(ratios)
    return [int(scale * x.shape[axis] + 0.5) for axis in chosen]


def resize_axes(
    x: Tensor,
    sizes: Ints | None,
    scales: Sequence[float] | None,
    axes: Ints | None,
    sampling: Sampling,
    roi: Sequence[float] | None = None,
) -> Tensor:
    """Resample every axis whose length or place changes.

    Args:
        x: any shape.
        sizes: the new lengths; or None.
        scales: the factors where there are no sizes; lengths are cut off behind the point.
        axes: which axes these are for, None for all.
        sampling: how.
        roi: the region for ``tf_crop_and_resize``, all beginnings, then all ends, as parts of one.
    """
    chosen = [axis % x.dim() for axis in axes] if axes is not None else list(range(x.dim()))
    lengths = [x.shape[axis] for axis in chosen]
    if sizes is None:
        assert scales is not None  # the standard wants one of the two
        factors = list(scales)
        sizes = [int(n * s) for n, s in zip(lengths, factors, strict=True)]
    else:
        factors = [m / n for m, n in zip(sizes, lengths, strict=True)]
    if sampling.is_doubling and chosen == list(range(x.dim())) and x.dim() == 4 and _doubles(factors):
        return functional.interpolate(x, scale_factor=factors[2:], mode="nearest")
    regions = _regions(roi, len(chosen)) if sampling.crops and roi else [(0.0, 1.0)] * len(chosen)
    for axis, size, factor, region in zip(chosen, sizes, factors, regions, strict=True):
        if factor != 1.0 or sampling.crops:
            x = resized_axis(x, axis, size, factor, sampling, region)
    return x


def _doubles(factors: Sequence[float]) -> bool:
    return list(factors[:2]) == [1, 1] and all(float(f).is_integer() and f >= 1 for f in factors)


def _regions(roi: Sequence[float], count: int) -> list[tuple[float, float]]:
    return list(zip(roi[:count], roi[count:], strict=True))


_GRID_MODES = {"bilinear": "bilinear", "linear": "bilinear", "nearest": "nearest"}
_GRID_MODES |= {"bicubic": "bicubic", "cubic": "bicubic"}


@operator("GridSample", 16)
def grid_sample_16(
    x: Tensor, grid: Tensor, *, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: int = 0
) -> Tensor:
    """Samples of images at the places of a grid."""
    return functional.grid_sample(x, grid, _GRID_MODES[mode], padding_mode, bool(align_corners))


@operator("GridSample", 20, 22)
def grid_sample(
    x: Tensor, grid: Tensor, *, mode: str = "linear", padding_mode: str = "zeros", align_corners: int = 0
) -> Tensor:
    """Samples of images or volumes at the places of a grid."""
    return functional.grid_sample(x, grid, _GRID_MODES[mode], padding_mode, bool(align_corners))


@operator("AffineGrid", 20)
def affine_grid(theta: Tensor, size: Ints, *, align_corners: int = 0) -> Tensor:
    """The grid that an affine map makes of the places of an image."""
    return functional.affine_grid(theta, list(size), bool(align_corners))


@operator("CenterCropPad", 18)
def center_crop_pad(x: Tensor, shape: Ints, *, axes: Sequence[int] | None = None) -> Tensor:
    """The middle of each axis, or zeros around it, to given lengths."""
    for axis, size in zip(range(x.dim()) if axes is None else axes, shape, strict=True):
        n = x.shape[axis]
        if n > size:
            x = x.narrow(axis, (n - size) // 2, size)
        elif n < size:
            before = (size - n) // 2
            behind = x.dim() - 1 - axis % x.dim()
            x = functional.pad(x, [0, 0] * behind + [before, size - n - before])
    return x


__all__ = ["torch"]
