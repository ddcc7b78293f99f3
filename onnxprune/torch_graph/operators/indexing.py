"""Operators that pick elements by position: slices, pieces, gathers."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxprune.torch_graph.call import Call
from onnxprune.torch_graph.registry import Ints, emitter, operator


@emitter("Slice", 1, 10, 11, 13)
def slice_of(call: Call) -> Any:
    """Bounds are attributes in opset 1 and inputs since 10."""
    if not call.has(1):
        bounds = [call.attribute(name) for name in ("starts", "ends", "axes")]
        return call.emit(slice_axes, call.tensor(0), *bounds)
    return call.emit(slice_axes, call.tensor(0), *(call.ints(i) for i in range(1, 5)))


def slice_axes(
    x: Tensor, starts: Ints, ends: Ints, axes: Ints | None = None, steps: Ints | None = None
) -> Tensor:
    """``x[start:end:step]`` along some axes, by default the first ones."""
    picked = [slice(None)] * x.dim()
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = i if axes is None else axes[i]
        step = 1 if steps is None else steps[i]
        if step < 0:
            index = range(x.shape[axis])[_backwards(start, end, step, x.shape[axis])]
            x = x.index_select(axis, torch.tensor(index, dtype=torch.int64, device=x.device))
        else:
            picked[axis] = slice(start, min(end, sys.maxsize), step)
    return x[tuple(picked)]


def _backwards(start: int, end: int, step: int, length: int) -> slice:
    """Bounds of a descending slice: an end before the first index means to the very beginning."""
    return slice(start, None if end < -length else end, step)


@emitter("Split", 2, 11, 13, 18)
def split(call: Call) -> Any:
    """Pieces of given sizes, or as many as there are outputs."""
    sizes = call.ints(1) if call.has(1) else call.attribute("split")
    count = len(call.node.output)
    pieces = call.emit(split_axis, call.tensor(0), sizes, count, call.attribute("axis", 0))
    return tuple(call.item(pieces, k) for k in range(count))


def split_axis(x: Tensor, sizes: Ints | None, count: int, axis: int) -> tuple[Tensor, ...]:
    """Pieces of given sizes, or a number of equal ones of which the last may be shorter."""
    return tuple(torch.split(x, -(-x.shape[axis] // count) if sizes is None else list(sizes), axis))


@emitter("Gather", 1, 11, 13)
def gather(call: Call) -> Any:
    """One known index takes an axis away; a table of words is looked up as such."""
    axis, index = call.attribute("axis", 0), call.known(1)
    if index is not None and index.ndim == 0:
        return call.emit(torch.select, call.tensor(0), axis, int(index))
    table = call.shape(0)
    if axis == 0 and table is not None and len(table) == 2 and index is None:
        return call.emit(look_up, call.tensor(0), call.tensor(1))
    return call.emit(gather_axis, call.tensor(0), call.tensor(1), axis)


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a table, shape (words, features)."""
    return functional.embedding(counted_from_start(index, table.shape[0]), table)


def gather_axis(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """``x[index]`` along an axis; the axes of the index take its place."""
    axis = axis % x.dim()
    flat = counted_from_start(index.reshape(-1), x.shape[axis])
    return x.index_select(axis, flat).reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def counted_from_start(index: Tensor, length: int) -> Tensor:
    """Indices without negative ones, which count from the end."""
    index = index.to(torch.int64)
    return torch.where(index < 0, index + length, index)


@operator("GatherElements", 11, 13)
def gather_elements(x: Tensor, index: Tensor, *, axis: int = 0) -> Tensor:
    """Each index picks along the axis at its own place."""
    return torch.gather(x, axis, counted_from_start(index, x.shape[axis]))


@operator("GatherND", 11, 12, 13)
def gather_nd(x: Tensor, index: Tensor, *, batch_dims: int = 0) -> Tensor:
    """Each row of the index is a position in the axes behind the batch."""
    places = _places(index, x.shape[batch_dims:])
    if not batch_dims:
        return x[places]
    flat = x.reshape(-1, *x.shape[batch_dims:])
    rows = index.reshape(-1, *index.shape[batch_dims:])
    picked = [one[_places(row, one.shape)] for one, row in zip(flat, rows, strict=True)]
    return torch.stack(picked).reshape(*x.shape[:batch_dims], *picked[0].shape)


def _places(index: Tensor, lengths: tuple[int, ...]) -> tuple[Tensor, ...]:
    columns = index.unbind(-1)
    return tuple(counted_from_start(c, n) for c, n in zip(columns, lengths, strict=False))


_REDUCTIONS = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("ScatterElements", 11, 13, 16, 18)
@operator("Scatter", 9, 11)
def scatter_elements(
    x: Tensor, index: Tensor, updates: Tensor, *, axis: int = 0, reduction: str = "none"
) -> Tensor:
    """Each update goes to its place along the axis, or is combined with what is there."""
    index = counted_from_start(index, x.shape[axis])
    if reduction == "none":
        return torch.scatter(x, axis, index, updates)
    return torch.scatter_reduce(x, axis, index, updates, _REDUCTIONS[reduction])


@operator("ScatterND", 11, 13, 16, 18)
def scatter_nd(x: Tensor, index: Tensor, updates: Tensor, *, reduction: str = "none") -> Tensor:
    """Each row of the index is the place of an update, or of one that is combined with what is there."""
    depth = index.shape[-1]
    places = _places(index, x.shape)
    if reduction in ("none", "add"):
        return x.index_put(places, updates, accumulate=reduction == "add")
    rows = torch.zeros_like(places[0])
    for place, length in zip(places, x.shape[:depth], strict=True):
        rows = rows * length + place
    flat = x.reshape(-1, *x.shape[depth:])
    values = updates.reshape(-1, *x.shape[depth:])
    target = rows.reshape(-1, *[1] * (flat.dim() - 1)).expand_as(values)
    return torch.scatter_reduce(flat, 0, target, values, _REDUCTIONS[reduction]).reshape(x.shape)
