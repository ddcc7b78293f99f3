"""Cuts of successive steps as one cut of the file that the first of them began with."""

from __future__ import annotations

from typing import cast

from onnxprune.surgery.cut import AxisCut, Cuts


def compose(first: Cuts, then: Cuts) -> Cuts:
    """What two cuts, one after the other, take from the constants that the first one was made in.

    Args:
        first: in terms of the source.
        then: in terms of what ``first`` left of it. A constant that ``first`` made anew, such as the copy
            that a reader of a shared vector gets, is none of the source's and is left out.
    """
    found = {name: dict(axes) for name, axes in first.items()}
    for name, axes in then.items():
        for axis, cut in axes.items():
            before = first.get(name, {}).get(axis)
            if before is None:
                found.setdefault(name, {})[axis] = cut
            elif len(_kept(before)) == cut["size"]:
                left = _kept(before)
                kept = [left[i] for i in _kept(cut)]
                found[name][axis] = {"size": before["size"], "kept": kept}
    return found


def _kept(cut: AxisCut) -> list[int]:
    return cast("list[int]", cut["kept"])
