"""Operators that make an axis longer: by another tensor, by zeros, by copies."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.registry import RULES, as_first, every_input
from onnxprune.coupling.site import Axes, Site, Unfollowable


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
            site.pin_dynamic(data[position], 0, k)
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
    """``c -> (r c)``: the copies are an axis of their own, unless their number is dynamic."""
    repeats = site.value(1)
    if repeats is None:
        raise Unfollowable("how often it is repeated is computed from data")
    site.out_shape()  # not to be followed where it is too long
    site.memo = {}
    result: Axes = []
    for k, (axis, count) in enumerate(zip(site.axes(0), repeats.reshape(-1).tolist(), strict=True)):
        if not site.engine.is_fixed(site, "repeats", 1, k):
            site.labels.pin(axis, "it is repeated a dynamic number of times")
            result.append(site.labels.pinned(len(axis) * count, "its length is dynamic"))
        elif count == 1:
            result.append(axis)
        else:
            site.memo[str(k)] = site.labels.fresh(count)
            result.append(site.labels.product([site.memo[str(k)], axis]))
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
        site.out_shape()  # not to be followed where it is too long
        site.memo[f"before {k}"], site.memo[f"after {k}"] = (
            site.labels.fresh(before),
            site.labels.fresh(after),
        )
        result[k] = np.concatenate([site.memo[f"before {k}"], axis, site.memo[f"after {k}"]])
    return [result]


def _fix_constant(site: Site, editor: Editor) -> None:
    out = site.engine.axes[site.node.output[0]]
    editor.set_entries(
        "shape", 0, {k: editor.count(axis) for k, axis in enumerate(out) if editor.is_cut(axis)}
    )


def _fills_with_zero(site: Site) -> bool:
    value = site.attribute("value")
    return value is None or (not any(value.raw_data) and not value.float_data and not value.int64_data)


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
