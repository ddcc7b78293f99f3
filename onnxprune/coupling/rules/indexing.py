"""Operators that pick indices along an axis: slices, pieces and gathers."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.labels import Axis
from onnxprune.coupling.registry import RULES, as_first
from onnxprune.coupling.rules.reshape import regroup
from onnxprune.coupling.site import Axes, Site, Unfollowable
from onnxprune.model.constants import Array


def _part(site: Site, axis: Axis, picked: Axis) -> Axis:
    """A piece of an axis; a piece of one index would vanish with it."""
    if len(picked) == 1 and len(axis) > 1:
        site.labels.pin(picked, f"{site.node.op_type} takes it alone")
    return picked


def _fix_split(site: Site, editor: Editor) -> None:
    pieces = [site.engine.axes[name][_split_axis(site)] for name in site.node.output]
    if not any(editor.is_cut(piece) for piece in pieces):
        return
    editor.removed_attributes.add("num_outputs")
    sizes = [editor.count(piece) for piece in pieces]
    if site.opset < 13:
        editor.set_attribute("split", sizes)
    else:
        editor.inputs[1] = np.array(sizes, dtype=np.int64)


def _split_axis(site: Site) -> int:
    return int(site.attribute("axis", 0)) % len(site.axes(0))


@RULES.add("Split", clean=as_first, fix=_fix_split)
def split(site: Site) -> list[Axes]:
    """Consecutive pieces of one axis; their sizes are those of the traced outputs."""
    data = site.axes(0)
    axis = _split_axis(site)
    outputs, start = [], 0
    for i in range(len(site.node.output)):
        length = site.out_shape(i)[axis]
        piece = _part(site, data[axis], data[axis][start : start + length])
        site.pin_dynamic(piece, i, axis)
        outputs.append([*data[:axis], piece, *data[axis + 1 :]])
        start += length
    return outputs


def _slices(site: Site) -> list[tuple[int, slice]]:
    """(axis, slice) of a Slice node with bounds made explicit."""
    starts, ends = site.integers("starts", 1), site.integers("ends", 2)
    if starts is None or ends is None:
        raise Unfollowable("its bounds are unknown")
    shape = site.shape(0)
    axes = site.integers("axes", 3) or list(range(len(starts)))
    steps = site.integers("steps", 4) or [1] * len(starts)
    found = []
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        k = axis % len(shape)
        # ONNX clamps differently from Python for negative steps; those never meet a labelled axis
        found.append((k, slice(start, end, step) if step > 0 else slice(None, None, step)))
    return found


def _fix_slice(site: Site, editor: Editor) -> None:
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for position, (k, bounds) in enumerate(_slices(site)):
        axis = site.axes(0)[k]
        if editor.is_cut(axis):
            first, last, _ = bounds.indices(len(axis))
            starts[position] = editor.before(axis, first)
            ends[position] = editor.before(axis, last)
    editor.set_entries("starts", 1, starts)
    editor.set_entries("ends", 2, ends)


@RULES.add("Slice", clean=as_first, fix=_fix_slice)
def slice_(site: Site) -> list[Axes]:
    """``x[start:end]`` along some axes; a step, or moving bounds, only on axes that stay whole."""
    result = list(site.axes(0))
    for position, (k, bounds) in enumerate(_slices(site)):
        axis = result[k]
        fixed = site.engine.is_fixed(site, "starts", 1, position) and site.engine.is_fixed(
            site, "ends", 2, position
        )
        if bounds.step != 1 or not fixed:
            site.labels.pin(axis, "it is sliced with a step" if fixed else "it is sliced at moving bounds")
        if not site.labels.is_free(axis):
            result[k] = site.labels.pinned(site.out_shape()[k], site.engine.why(axis))
        else:
            result[k] = _part(site, axis, axis[bounds])
    return [result]


def _fix_gather(site: Site, editor: Editor) -> None:
    """Indices are renumbered to the positions that their channels have after the cut."""
    data = site.axes(0)
    k = int(site.attribute("axis", 0)) % len(data)
    if not editor.is_cut(data[k]):
        return
    indices = site.value(1)
    assert indices is not None  # an axis that is gathered by unknown indices is pinned
    if _only_reshapes(site, indices):
        out = site.engine.axes[site.node.output[0]]
        dims = [
            editor.count(a) if site.engine.is_static(site.node.output[0], j) else -1
            for j, a in enumerate(out)
        ]
        editor.replace("Reshape", np.array(dims, dtype=np.int64))
        return
    out = site.engine.axes[site.node.output[0]][k : k + indices.ndim]
    kept = indices[np.ix_(*[editor.mask(axis) for axis in out])] if indices.ndim else indices
    rank = np.cumsum(editor.mask(data[k])) - 1
    editor.inputs[1] = np.asarray(rank[kept % len(data[k])], dtype=indices.dtype)


def _only_reshapes(site: Site, indices: Array) -> bool:
    """Whether the node reads a vector in order, as exporters write a strided view.

    At most one dim of the result may be dynamic, or no Reshape could say the same.
    """
    if len(site.axes(0)) != 1 or indices.size != len(site.axes(0)[0]) or indices.ndim < 2:
        return False
    dynamic = sum(not site.engine.is_static(site.node.output[0], k) for k in range(indices.ndim))
    return dynamic < 2 and np.array_equal(indices.reshape(-1), np.arange(indices.size))


@RULES.add("Gather", clean=as_first, fix=_fix_gather)
def gather(site: Site) -> list[Axes]:
    """``x[indices]`` along one axis: each result index carries the label of what it picks."""
    data = site.axes(0)
    k = int(site.attribute("axis", 0)) % len(data)
    indices = site.value(1)
    if indices is not None and _only_reshapes(site, indices):
        return [regroup(site.labels, data, indices.shape)]
    if indices is None or not site.engine.is_fixed(site, "", 1):
        site.labels.pin(data[k], "it is gathered by indices known only at run time")
    if indices is None or not site.labels.is_free(data[k]):
        picked = [site.labels.pinned(n, site.engine.why(data[k])) for n in site.shape(1)]
    elif indices.ndim == 0:
        site.labels.pin(data[k][indices.reshape(1)], "Gather takes it alone")
        picked = []
    else:
        flat = data[k][indices.reshape(-1) % len(data[k])]
        picked = site.labels.split(_part(site, data[k], flat), indices.shape)
    if site.engine.is_constant(site.node.input[0]) and indices is None and len(data) > 1:
        site.layer(0, out=data[-1])  # an embedding table: its columns are filters
    return [[*data[:k], *picked, *data[k + 1 :]]]
