"""Quantise and dequantise: scales may be one a channel."""

from __future__ import annotations

from onnxprune.coupling.groups import Role
from onnxprune.coupling.registry import RULES, as_first
from onnxprune.coupling.site import Axes, Site, Unfollowable


@RULES.add("QuantizeLinear", "DequantizeLinear", clean=as_first)
def scale_per_channel(site: Site) -> list[Axes]:
    """``x``, then scale and zero point: single values, or one an index of ``axis``."""
    data = site.axes(0)
    if site.attribute("block_size", 0):
        raise Unfollowable("blocked quantisation is not followed")
    for i in (1, 2):
        if not site.has(i):
            continue
        scale = site.axes(i)
        if len(scale) > 1:
            raise Unfollowable("blocked quantisation is not followed")
        if scale and len(scale[0]) > 1:
            site.labels.equate(data[int(site.attribute("axis", 1)) % len(data)], scale[0])
        site.role(i, Role.OTHER)
    return [list(data)]


@RULES.add("DynamicQuantizeLinear", clean=as_first)
def dynamic_scale(site: Site) -> list[Axes]:
    """One range for all elements; it always includes zero, so channels masked to zero do not move it."""
    if not site.clean(0):
        for axis in site.axes(0):
            site.labels.pin(axis, "DynamicQuantizeLinear takes its range over it")
    return [list(site.axes(0)), [], []]
