"""Layers with weights: convolutions and matrix products."""

from __future__ import annotations

from math import prod

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.groups import Role
from onnxprune.coupling.labels import Axis
from onnxprune.coupling.matching import broadcast, match
from onnxprune.coupling.notation import parse
from onnxprune.coupling.registry import RULES, always
from onnxprune.coupling.site import Axes, Site, Unfollowable

CONV = "n (group i) !, (group o) i !, (group o) -> n (group o) !"
CONV_TRANSPOSE = "n (group i) !, (group i) o !, (group o) -> n (group o) !"


def _convolution(site: Site, text: str, *, x: int, w: int, bias: int) -> list[Axes]:
    """Couple a convolution whose data, weight and bias are the given inputs."""
    operands = [site.axes(x), site.axes(w), site.axes(bias) if site.has(bias) else None]
    binding = match(site.labels, text, operands, {"group": int(site.attribute("group", 1))})
    out = binding.give(parse(text).outputs[0], site.out_shape())
    site.memo = {"group": binding["group"]}
    site.layer(
        w,
        out=site.axes(w)[0] if text is CONV else site.axes(w)[1],
        inner=site.axes(w)[1 if text is CONV else 0],
    )
    site.role(bias, Role.BIAS)
    kernel = prod(site.shape(w)[2:])
    positions = prod(site.out_shape()[2:]) if text is CONV else prod(site.shape(x)[2:])
    channels = [site.axes(w)[0], site.axes(w)[1]]
    site.macs(site.shape(x)[0] * positions * kernel, channels)
    site.engine.fast_axes.append((site.axes(x)[1], site.index))
    site.engine.fast_axes.append((out[1], site.index))
    return [out]


def fix_group(site: Site, editor: Editor) -> None:
    """``group`` is the number of groups that are left."""
    if len(site.memo["group"]) > 1:
        editor.set_attribute("group", editor.count(site.memo["group"]))


@RULES.add("Conv", clean=always, fix=fix_group)
def conv(site: Site) -> list[Axes]:
    """Grouped convolution; depthwise where ``i`` and ``o`` have one index."""
    return _convolution(site, CONV, x=0, w=1, bias=2)


@RULES.add("ConvTranspose", clean=always, fix=fix_group)
def conv_transpose(site: Site) -> list[Axes]:
    """Transposed convolution: the weight holds the input channels first."""
    return _convolution(site, CONV_TRANSPOSE, x=0, w=1, bias=2)


@RULES.add("ConvInteger", clean=always, fix=fix_group)
def conv_integer(site: Site) -> list[Axes]:
    """Convolution of integers; zero points are scalars or one a filter."""
    out = _convolution(site, CONV, x=0, w=1, bias=99)
    _per_filter(site, 3, out[0][1])
    return out


@RULES.add("QLinearConv", clean=always, fix=fix_group)
def quantized_conv(site: Site) -> list[Axes]:
    """``x, xs, xz, w, ws, wz, ys, yz, bias``: scales and zero points may be one a filter."""
    out = _convolution(site, CONV, x=0, w=3, bias=8)
    for i in (4, 5, 6, 7):
        _per_filter(site, i, out[0][1])
    return out


def _per_filter(site: Site, i: int, out: Axis) -> None:
    if site.has(i):
        for axis in site.axes(i):
            if len(axis) > 1:
                site.labels.equate(axis, out)
        site.role(i, Role.OTHER)


@RULES.add("Gemm", clean=always)
def gemm(site: Site) -> list[Axes]:
    """``m k, k n, (broadcast) -> m n`` with either operand transposed."""
    a = "k m" if site.attribute("transA", 0) else "m k"
    b = "n k" if site.attribute("transB", 0) else "k n"
    binding = match(site.labels, f"{a}, {b} -> m n", [site.axes(0), site.axes(1)], {})
    if site.has(2):
        broadcast(site.labels, [[binding["m"], binding["n"]], site.axes(2)])
        site.role(2, Role.BIAS)
    if site.engine.is_constant(site.node.input[1]):
        site.layer(
            1,
            out=binding_axis(site, 1, "n" in b.split()[:1]),
            inner=binding_axis(site, 1, "k" in b.split()[:1]),
        )
    elif site.engine.is_constant(site.node.input[0]):
        site.layer(
            0,
            out=binding_axis(site, 0, "m" in a.split()[:1]),
            inner=binding_axis(site, 0, "k" in a.split()[:1]),
        )
    else:
        site.contracted(binding["k"], (0, 1))
    site.macs(1, [binding["m"], binding["k"], binding["n"]])
    return [[binding["m"], binding["n"]]]


def binding_axis(site: Site, i: int, first: bool) -> Axis:
    """The first or the last axis of input ``i``, as the constant's own labels."""
    return site.axes(i)[0 if first else -1]


@RULES.add("MatMul", "MatMulInteger", clean=always)
def matmul(site: Site) -> list[Axes]:
    """``... m k, ... k n -> ... m n``; a one-dimensional operand has no ``m`` or ``n``."""
    left, right = site.axes(0), site.axes(1)
    if not left or not right:
        raise Unfollowable("a matrix product of scalars")
    m, n = left[-2:-1], right[-1:] if len(right) > 1 else []
    k_left, k_right = left[-1], right[-2] if len(right) > 1 else right[-1]
    site.labels.equate(k_left, k_right)
    batch = broadcast(site.labels, [left[:-2], right[:-2]])
    if site.engine.is_constant(site.node.input[1]):
        site.layer(1, out=n[0] if n else k_right, inner=k_right)
    elif site.engine.is_constant(site.node.input[0]):
        site.layer(0, out=m[0] if m else k_left, inner=k_left)
    else:
        site.contracted(k_left, (0, 1))
    site.macs(1, [*batch, *m, k_left, *n])
    return [[*batch, *m, *n]]


@RULES.add("QLinearMatMul", clean=always)
def quantized_matmul(site: Site) -> list[Axes]:
    """``a, as, az, b, bs, bz, ys, yz``: scales and zero points of ``b`` may be one a column."""
    left, right = site.axes(0), site.axes(3)
    if len(left) < 2 or len(right) < 2:
        raise Unfollowable("a quantised product of vectors")
    site.labels.equate(left[-1], right[-2])
    for i in (4, 5, 6, 7):
        _per_filter(site, i, right[-1])
    batch = broadcast(site.labels, [left[:-2], right[:-2]])
    site.layer(3, out=right[-1], inner=right[-2])
    site.macs(1, [*batch, left[-2], left[-1], right[-1]])
    return [[*batch, left[-2], right[-1]]]


@RULES.add("Einsum", clean=always)
def einsum(site: Site) -> list[Axes]:
    """The equation is the pattern: each letter is an axis."""
    equation = site.attribute("equation").decode().replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = [_spaced(term) for term in left.split(",")]
    if not arrow:
        right = "".join(sorted(c for c in set(left) if c.isalpha() and left.count(c) == 1))
    text = f"{', '.join(terms)} -> {_spaced(right)}"
    binding = match(site.labels, text, site.all_axes(), {})
    letters = sorted(set(left) - set(",."))
    inputs = range(len(site.node.input))
    constants = [i for i in inputs if site.engine.is_constant(site.node.input[i])]
    for letter in sorted(set(letters) - set(right)):
        readers = [i for i in inputs if letter in left.split(",")[i]]
        if not set(readers) & set(constants):
            site.contracted(binding[letter], readers)
    for i in constants[:1]:
        term = left.split(",")[i]
        own = site.axes(i)
        out = [own[k] for k, c in enumerate(term) if c in right]
        inner = [own[k] for k, c in enumerate(term) if c not in right]
        if out:
            site.layer(i, out=out[-1], inner=inner[-1] if inner else None)
    site.macs(1, [*binding.passing, *(binding[letter] for letter in letters)])
    return [binding.give(parse(text).outputs[0], site.out_shape())]


def _spaced(term: str) -> str:
    return " ".join(term.replace("...", ".")).replace(".", "...")
