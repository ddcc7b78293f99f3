"""Operators that resample space and let channels through, and those that ask for sizes."""

from __future__ import annotations

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.registry import RULES, as_first
from onnxprune.coupling.site import Axes, Site, Unfollowable


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
    for k, (axis, n) in enumerate(zip(site.axes(0), site.out_shape(), strict=True)):
        if len(axis) == n:
            site.pin_dynamic(axis, 0, k)
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


@RULES.add("Shape", "Size")
def shape_of(site: Site) -> list[Axes]:
    """What is asked for is a size; it follows the cut by itself."""
    rank = len(site.axes(0))
    return [[site.labels.pinned(rank, "it is a shape")] if site.node.op_type == "Shape" else []]
