"""Normalisations: their parameters share the channel axis, their statistic may run over it."""

from __future__ import annotations

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.groups import Role
from onnxprune.coupling.matching import broadcast, match
from onnxprune.coupling.registry import RULES, always, as_first, unless_statistic
from onnxprune.coupling.site import Axes, Site, Unfollowable


@RULES.add("BatchNormalization", clean=always)
def batch_normalization(site: Site) -> list[Axes]:
    """``n c ..., c, c, c, c -> n c ...``; in training mode also the updated statistics."""
    binding = match(site.labels, "n c ..., c, c, c, c -> n c ...", site.all_axes(), {})
    site.role(1, Role.SCALE)
    site.role(2, Role.BIAS)
    for i in (3, 4):
        site.role(i, Role.OTHER)
    if site.attribute("training_mode", 0):
        for axis in (binding["n"], *binding.passing):
            site.labels.pin(axis, "BatchNormalization in training mode takes its statistic over it")
    data: Axes = [binding["n"], binding["c"], *binding.passing]
    return [data] + [[binding["c"]] for _ in site.node.output[1:]]


@RULES.add("InstanceNormalization", clean=unless_statistic)
def instance_normalization(site: Site) -> list[Axes]:
    """``n c ..., c, c -> n c ...``; the statistic runs over the trailing axes."""
    binding = match(site.labels, "n c ..., c, c -> n c ...", site.all_axes(), {})
    site.role(1, Role.SCALE)
    site.role(2, Role.BIAS)
    site.statistic(binding.passing)
    return [[binding["n"], binding["c"], *binding.passing]]


@RULES.add("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", clean=always)
def layer_normalization(site: Site) -> list[Axes]:
    """The axes from ``axis`` on are normalised together; scale and bias broadcast over them.

    Further outputs are the statistics, of length one along the normalised axes.
    """
    data = site.axes(0)
    axis = int(site.attribute("axis", -1)) % len(data)
    for i, role in ((1, Role.SCALE), (2, Role.BIAS)):
        if site.has(i):
            broadcast(site.labels, [data, site.axes(i)])
            site.role(i, role)
    site.statistic(data[axis:])
    statistics = [*data[:axis], *(site.labels.pinned(1, "it is a statistic") for _ in data[axis:])]
    return [list(data)] + [list(statistics) for name in site.node.output[1:]]


@RULES.add("LpNormalization", clean=as_first)
def lp_normalization(site: Site) -> list[Axes]:
    """A norm over zeros and the rest is the norm over the rest."""
    axis = int(site.attribute("axis", -1))
    site.contracted(site.axes(0)[axis], (0,))
    return [list(site.axes(0))]


@RULES.add("MeanVarianceNormalization", clean=as_first)
def mean_variance_normalization(site: Site) -> list[Axes]:
    """It divides by a bare deviation, so a masked channel would not be a number in the source."""
    for axis in site.axes(0):
        site.labels.pin(axis, "MeanVarianceNormalization divides by a deviation without an epsilon")
    return [list(site.axes(0))]


@RULES.add("GroupNormalization", clean=always, fix=lambda site, editor: _fix_groups(site, editor))
def group_normalization(site: Site) -> list[Axes]:
    """``n (g c) !``: statistics over ``c`` and space.

    There is one parameter a group, since opset 21 one a channel.
    """
    groups = int(site.attribute("num_groups"))
    parameters = (
        "(g c), (g c)" if site.shape(1)[0] == site.shape(0)[1] and groups != site.shape(0)[1] else "g, g"
    )
    binding = match(site.labels, f"n (g c) !, {parameters} -> n (g c) !", site.all_axes(), {"g": groups})
    site.role(1, Role.SCALE)
    site.role(2, Role.BIAS)
    site.statistic([binding["c"]])
    site.memo = {"groups": binding["g"]}
    if len(binding["c"]) > 1 and parameters == "g, g" and site.opset >= 21:
        raise Unfollowable("its parameters are neither one a channel nor one a group")
    return [list(site.axes(0))]


def _fix_groups(site: Site, editor: Editor) -> None:
    if len(site.memo["groups"]) > 1:
        editor.set_attribute("num_groups", editor.count(site.memo["groups"]))
