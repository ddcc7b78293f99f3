"""Operators that pick, join or repeat indices along an axis."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.labels import Axis
from onnxprune.coupling.registry import RULES, as_first, every_input
from onnxprune.coupling.rules.reshape import regroup
from onnxprune.coupling.site import Axes, Site, Unfollowable
from onnxprune.model.constants import Array


@RULES.add("Concat", clean=every_input)
def concat(site: Site) -> list[Axes]:
    """Axes follow one another; all others are shared."""
    operands = [site.axes(i) for i in range(len(site.node.input))]
    axis = int(site.attribute("axis", 1)) % len(operands[0])
    result = list(operands[0])
    for axes in operands[1:]:
        for k, (first, other) in enumerate(zip(result, axes, strict=True)):
            if k != axis:
                site.labels.equate(first, other)
    result[axis] = np.concatenate([axes[axis] for axes in operands])
    return [result]


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


def _fix_expand(site: Site, editor: Editor) -> None:
    out = site.engine.axes[site.node.output[0]]
    target = site.integers("shape", 1) or []
    offset = len(out) - len(target)
    cut = {
        k: editor.count(out[k + offset])
        for k, n in enumerate(target)
        if n != 1 and editor.is_cut(out[k + offset])
    }
    editor.set_entries("shape", 1, cut)


@RULES.add("Expand", clean=as_first, fix=_fix_expand)
def expand(site: Site) -> list[Axes]:
    """Axes of length one are repeated; the copies are born free, as nothing tells them apart."""
    data, shape = site.axes(0), site.out_shape()
    if site.integers("shape", 1) is None:
        raise Unfollowable("its target shape is unknown")
    result: Axes = []
    for k, n in enumerate(shape):
        position = k - len(shape) + len(data)
        if position >= 0 and len(data[position]) == n:
            result.append(data[position])
        elif site.engine.is_static(site.node.output[0], k):
            result.append(site.labels.fresh(n))
        else:
            result.append(site.labels.pinned(n, "its length is dynamic"))
    return [result]


def _fix_tile(site: Site, editor: Editor) -> None:
    editor.set_entries(
        "repeats", 1, {int(k): editor.count(axis) for k, axis in site.memo.items() if editor.is_cut(axis)}
    )


@RULES.add("Tile", clean=as_first, fix=_fix_tile)
def tile(site: Site) -> list[Axes]:
    """``c -> (r c)``: the copies are an axis of their own."""
    repeats = site.value(1)
    if repeats is None or not site.engine.is_fixed(site, "repeats", 1):
        raise Unfollowable("it is repeated a dynamic number of times")
    site.memo = {}
    result: Axes = []
    for k, (axis, count) in enumerate(zip(site.axes(0), repeats.reshape(-1).tolist(), strict=True)):
        if count == 1:
            result.append(axis)
            continue
        copies = site.labels.fresh(count)
        site.memo[str(k)] = copies
        result.append(site.labels.product([copies, axis]))
    return [result]


def _pads(site: Site) -> dict[int, tuple[int, int]]:
    """Amounts before and after each axis that is padded."""
    amounts = site.integers("pads", 1) or site.attribute("paddings")
    if amounts is None:
        raise Unfollowable("its amounts are unknown")
    rank = len(site.axes(0))
    axes = site.integers("", 3) if site.has(3) else list(range(rank))
    half = len(amounts) // 2
    return {a % rank: (amounts[j], amounts[j + half]) for j, a in enumerate(axes or [])}


def _fix_pad(site: Site, editor: Editor) -> None:
    given = _pads(site)
    entries: dict[int, int] = {}
    for j, k in enumerate(given):
        for side, position in (("before", j), ("after", j + len(given))):
            zeros = site.memo.get(f"{side} {k}")
            if zeros is not None and editor.is_cut(zeros):
                entries[position] = editor.count(zeros)
    editor.set_entries("pads", 1, entries)


def _pads_with_zero(site: Site) -> bool:
    if site.attribute("value", 0.0) != 0.0:
        return False
    if not site.has(2):
        return site.clean(0)
    value = site.engine.scalar(site.node.input[2])
    return site.clean(0) and value == 0.0


@RULES.add("Pad", clean=_pads_with_zero, fix=_fix_pad)
def pad(site: Site) -> list[Axes]:
    """Zero channels around an axis are born free: they go with the channels they are added to."""
    plain = site.attribute("mode", b"constant") == b"constant"
    site.memo = {}
    result = list(site.axes(0))
    for k, (before, after) in _pads(site).items():
        if not before and not after:
            continue
        axis = result[k]
        if not plain or before < 0 or after < 0:
            site.labels.pin(axis, "it is padded with copies, or cropped")
        if not site.labels.is_free(axis):
            result[k] = site.labels.pinned(site.out_shape()[k], site.engine.why(axis))
            continue
        if not site.engine.is_static(site.node.output[0], k):
            raise Unfollowable("its channels are padded by a dynamic amount")
        site.memo[f"before {k}"], site.memo[f"after {k}"] = (
            site.labels.fresh(before),
            site.labels.fresh(after),
        )
        result[k] = np.concatenate([site.memo[f"before {k}"], axis, site.memo[f"after {k}"]])
    return [result]


def _fix_resize(site: Site, editor: Editor) -> None:
    if not site.has(3):
        return
    axes = site.attribute("axes") or range(len(site.axes(0)))
    out = site.engine.axes[site.node.output[0]]
    editor.set_entries("", 3, {j: editor.count(out[k]) for j, k in enumerate(axes) if editor.is_cut(out[k])})


@RULES.add("Resize", "Upsample", clean=as_first, fix=_fix_resize)
def resize(site: Site) -> list[Axes]:
    """Axes that keep their length pass through; the others are spatial."""
    result: Axes = []
    for axis, n in zip(site.axes(0), site.out_shape(), strict=True):
        if len(axis) == n:
            result.append(axis)
        else:
            site.labels.pin(axis, "it is resized")
            result.append(site.labels.pinned(n, "it is a spatial axis"))
    if site.has(3) and site.value(3) is None and site.engine.free(result):
        raise Unfollowable("its target sizes are unknown")
    return [result]


@RULES.add("GridSample", clean=as_first)
def grid_sample(site: Site) -> list[Axes]:
    """``n c !, n ! -> n c !``."""
    data = site.axes(0)
    for axis in [*data[2:], *site.axes(1)[1:]]:
        site.labels.pin(axis, "it is a spatial axis")
    return [[*data[:2], *(site.labels.pinned(n, "it is a spatial axis") for n in site.out_shape()[2:])]]


def _fix_constant(site: Site, editor: Editor) -> None:
    out = site.engine.axes[site.node.output[0]]
    editor.set_entries(
        "shape", 0, {k: editor.count(axis) for k, axis in enumerate(out) if editor.is_cut(axis)}
    )


def _fills_with_zero(site: Site) -> bool:
    value = site.attribute("value")
    return value is None or not any(value.raw_data) and not value.float_data and not value.int64_data


@RULES.add("ConstantOfShape", clean=_fills_with_zero, fix=_fix_constant)
def constant_of_shape(site: Site) -> list[Axes]:
    """Equal elements: free to be fewer, as far as the length is static."""
    name = site.node.output[0]
    lengths = site.out_shape()
    return [
        [
            site.labels.fresh(n)
            if site.engine.is_static(name, k)
            else site.labels.pinned(n, "its length is dynamic")
            for k, n in enumerate(lengths)
        ]
    ]


@RULES.add("Shape", "Size")
def shape_of(site: Site) -> list[Axes]:
    """What is asked for is a size; it follows the cut by itself."""
    rank = len(site.axes(0))
    return [[site.labels.pinned(rank, "it is a shape")] if site.node.op_type == "Shape" else []]
