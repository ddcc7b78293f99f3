"""Attention as one operator (opset 23)."""

from __future__ import annotations

from math import sqrt

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.matching import match
from onnxprune.coupling.registry import RULES, always
from onnxprune.coupling.site import Axes, Site, Unfollowable


def _fix_attention(site: Site, editor: Editor) -> None:
    """Head counts follow their axes; the scale stays that of the source's head dimension."""
    if not any(editor.is_cut(axis) for axis in site.memo.values()):
        return
    if site.attribute("scale") is None and editor.is_cut(site.memo["d"]):
        editor.set_attribute("scale", 1.0 / sqrt(len(site.memo["d"])))
    if site.attribute("q_num_heads") is not None:
        editor.set_attribute("q_num_heads", editor.count(site.memo["q"]))
        editor.set_attribute("kv_num_heads", editor.count(site.memo["g"]))


@RULES.add("Attention", clean=always, fix=_fix_attention)
def attention(site: Site) -> list[Axes]:
    """``b (g r) q d, b g k d, b g k v -> b (g r) q v``, or with heads folded into the last axis.

    ``r`` query heads share each of the ``g`` key and value heads.
    """
    if any(site.has(i) for i in (4, 5)) or any(site.node.output[1:]):
        raise Unfollowable("attention with a cache or further results is not followed")
    if site.attribute("softcap", 0.0):
        raise Unfollowable("attention with a soft cap is not followed")
    labels = site.labels
    folded = len(site.axes(0)) == 3
    query, key = (
        (int(site.attribute("q_num_heads")), int(site.attribute("kv_num_heads")))
        if folded
        else (site.shape(0)[1], site.shape(1)[1])
    )
    if query % key:
        raise Unfollowable("its query heads are no multiple of its key heads")
    text = (
        "b q (g r d), b k (g d), b k (g v) -> b q (g r v)"
        if folded
        else "b (g r) q d, b g k d, b g k v -> b (g r) q v"
    )
    binding = match(labels, text, [site.axes(i) for i in range(3)], {"g": key, "r": query // key})
    for name in ("q", "k"):
        labels.pin(binding[name], "it is the token axis")
    if site.has(3):
        for axis in site.axes(3):
            labels.pin(axis, "it is an axis of the attention mask")
    site.contracted(binding["d"], (0, 1))
    heads = labels.product([binding["g"], binding["r"]])
    site.memo = {"d": binding["d"], "g": binding["g"], "q": heads}
    for inner in ("d", "v"):
        site.macs(1, [binding["b"], heads, binding["q"], binding["k"], binding[inner]])
    last = labels.product([heads, binding["v"]])
    return [
        [binding["b"], binding["q"], last] if folded else [binding["b"], heads, binding["q"], binding["v"]]
    ]
