"""Reductions and pooling: what happens when an axis is summed away."""

from __future__ import annotations

from onnxprune.coupling.registry import RULES, as_first, never
from onnxprune.coupling.site import Axes, Site


def _reduced(site: Site) -> tuple[Axes, list[int], bool]:
    data = site.axes(0)
    given = site.integers("axes", 1)
    if not given and given is not None and site.attribute("noop_with_empty_axes", 0):
        return data, [], True
    if not given:
        given = [] if site.attribute("noop_with_empty_axes", 0) else list(range(len(data)))
    return data, sorted({a % len(data) for a in given}), bool(site.attribute("keepdims", 1))


def _rest(site: Site, data: Axes, reduced: list[int], keep: bool) -> list[Axes]:
    one = site.labels.pinned(1, "it was summed away")
    return [[one if k in reduced else axis for k, axis in enumerate(data) if keep or k not in reduced]]


@RULES.add("ReduceMean", clean=as_first)
def mean(site: Site) -> list[Axes]:
    """A mean over a cut axis is the mean over what is kept."""
    data, reduced, keep = _reduced(site)
    site.statistic([data[k] for k in reduced])
    return _rest(site, data, reduced, keep)


@RULES.add("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare", clean=as_first)
def total(site: Site) -> list[Axes]:
    """Zeros add nothing."""
    data, reduced, keep = _reduced(site)
    for k in reduced:
        if site.labels.is_free(data[k]):
            site.contracted(data[k], (0,))
    return _rest(site, data, reduced, keep)


@RULES.add("ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSum", "ReduceLogSumExp", clean=never)
def extreme(site: Site) -> list[Axes]:
    """A removed channel is zero in the masked source and could be the extreme."""
    data, reduced, keep = _reduced(site)
    for k in reduced:
        site.labels.pin(data[k], f"{site.node.op_type} runs over it")
    return _rest(site, data, reduced, keep)


@RULES.add("ArgMax", "ArgMin", clean=never)
def position(site: Site) -> list[Axes]:
    """The positions that it returns would be other ones."""
    data = site.axes(0)
    axis = int(site.attribute("axis", 0)) % len(data)
    site.labels.pin(data[axis], f"{site.node.op_type} returns positions along it")
    return _rest(site, data, [axis], bool(site.attribute("keepdims", 1)))


POOLS = ("AveragePool MaxPool LpPool GlobalMaxPool GlobalLpPool QLinearAveragePool").split()


@RULES.add(*POOLS, clean=as_first)
def pool(site: Site) -> list[Axes]:
    """``n c ! -> n c !`` with a second result of indices for MaxPool."""
    data = site.axes(0)
    for axis in data[2:]:
        site.labels.pin(axis, "it is a spatial axis")
    whole = [site.labels.pinned(n, "it is a spatial axis") for n in site.out_shape()[2:]]
    if len(site.node.output) > 1 and site.node.output[1]:
        # the indices count through the channels, so cutting one would shift the others
        for axis in data[:2]:
            site.labels.pin(axis, "MaxPool returns positions that count through it")
        return [[*data[:2], *whole], [*data[:2], *whole]]
    return [[*data[:2], *whole]]


@RULES.add("GlobalAveragePool", clean=as_first)
def global_average(site: Site) -> list[Axes]:
    """``n c ... -> n c 1...``: the mean over the trailing axes, channels where a model has them last."""
    data = site.axes(0)
    site.statistic(data[2:])
    return [[*data[:2], *(site.labels.pinned(1, "it was summed away") for _ in data[2:])]]
