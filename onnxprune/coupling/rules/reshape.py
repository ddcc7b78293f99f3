"""Operators that regroup axes without moving an element: the Reshape family."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.labels import Axis, Labels
from onnxprune.coupling.registry import RULES, as_first
from onnxprune.coupling.site import Axes, Site, Unfollowable


def regroup(labels: Labels, axes: Axes, shape: Sequence[int]) -> Axes:
    """Axes of a row-major reshape to ``shape``.

    Both shapes are walked together and cut wherever factors agree, so that an axis keeps its own
    labels as long as possible; only what cannot be nested is flattened and split anew.
    """
    if 0 in shape or any(len(axis) == 0 for axis in axes):
        raise Unfollowable("it is reshaped to nothing")
    if prod(map(len, axes)) != prod(shape):
        raise Unfollowable("its sizes only fit one batch size")
    source = [axis for axis in axes if len(axis) > 1]
    wanted = [n for n in shape if n > 1]
    found: Axes = []
    while wanted:
        block = _walk_one(labels, source, wanted[0])
        if block is None:
            found += labels.split(labels.product(source), wanted)
            break
        axis, source = block
        found.append(axis)
        wanted = wanted[1:]
    parts = iter(found)
    return [next(parts) if n > 1 else labels.pinned(1, "it has a single channel") for n in shape]


def _walk_one(labels: Labels, source: Axes, length: int) -> tuple[Axis, Axes] | None:
    """The next result axis of the given length and what is left of the source axes."""
    taken: Axes = []
    rest = list(source)
    need = length
    while need > 1:
        head = rest.pop(0)
        if need % len(head) == 0:
            taken.append(head)
            need //= len(head)
        elif len(head) % need == 0:
            outer, inner = labels.split(head, (need, len(head) // need))
            taken.append(outer)
            rest.insert(0, inner)
            need = 1
        else:
            return None
    return labels.product(taken), rest


def _target(site: Site) -> list[int]:
    target = site.integers("shape", 1)
    if target is None:
        raise Unfollowable("its target shape is unknown")
    return target


def _fix_reshape(site: Site, editor: Editor) -> None:
    """New target dims.

    1. A dim that is computed as -1, or copied by 0 from an input dim that ends up equal, stays.
    2. A cut dim of static length becomes the number of indices left.
    3. A cut dim of dynamic length becomes -1; the dim that was -1 then gets its number.
    4. A lone dim that depends on symbolic sizes becomes -1 where nothing else is.
    5. Other computed dims stay computed.
    """
    name, out, source = site.node.output[0], site.engine.axes[site.node.output[0]], site.axes(0)
    if not any(editor.is_cut(axis) for axis in [*out, *source]):
        return
    target = _target(site)
    copies = not site.attribute("allowzero", 0)
    entries: dict[int, int] = {}
    for k, (old, axis) in enumerate(zip(target, out, strict=True)):
        copied = old == 0 and copies and k < len(source) and editor.count(source[k]) == editor.count(axis)
        if old != -1 and not copied and (editor.is_cut(axis) or old == 0):
            entries[k] = editor.count(axis) if site.engine.is_static(name, k) else -1
    if -1 in entries.values():
        entries.update({k: editor.count(out[k]) for k, old in enumerate(target) if old == -1})
    if not entries or site.attribute("shape") is not None:
        editor.set_entries("shape", 1, entries)
        return
    same = editor.same(site.node.input[1]).reshape(-1)
    new = [entries.get(k, old) for k, old in enumerate(target)]
    dynamic = [k for k in range(len(target)) if not same[k] and k not in entries]
    if len(dynamic) == 1 and -1 not in new:
        editor.set_integers("shape", 1, [-1 if k in dynamic else n for k, n in enumerate(new)])
    else:
        editor.set_entries("shape", 1, entries)


def _check_dynamic(site: Site, out: Axes) -> None:
    """Only one dim can be left for the runtime to work out."""
    name, target = site.node.output[0], _target(site)
    open_dims = [
        k
        for k, axis in enumerate(out)
        if not site.engine.is_static(name, k) and (target[k] == -1 or site.labels.is_free(axis))
    ]
    if len(open_dims) > 1 and any(site.labels.is_free(out[k]) for k in open_dims):
        for k in open_dims:
            site.labels.pin(out[k], "it is folded together with a dynamic size")


@RULES.add("Reshape", clean=as_first, fix=_fix_reshape)
def reshape(site: Site) -> list[Axes]:
    """Row-major regrouping to the traced output shape."""
    out = regroup(site.labels, site.axes(0), site.out_shape())
    if site.engine.free(site.axes(0)):
        _check_dynamic(site, out)
    return [out]


@RULES.add("Flatten", clean=as_first)
def flatten(site: Site) -> list[Axes]:
    """``a... b... -> (a...) (b...)``; no shape operand to mend."""
    return [regroup(site.labels, site.axes(0), site.out_shape())]


@RULES.add("Squeeze", clean=as_first)
def squeeze(site: Site) -> list[Axes]:
    """Axes of length one vanish; what they stood for must therefore stay."""
    data = site.axes(0)
    given = site.integers("axes", 1)
    gone = [a % len(data) for a in given] if given else [k for k, axis in enumerate(data) if len(axis) == 1]
    for k in gone:
        site.labels.pin(data[k], "it is squeezed")
    return [[axis for k, axis in enumerate(data) if k not in gone]]


@RULES.add("Unsqueeze", clean=as_first)
def unsqueeze(site: Site) -> list[Axes]:
    """New axes of length one."""
    given = site.integers("axes", 1) or []
    rank = len(site.axes(0)) + len(given)
    new = {a % rank for a in given}
    if len(new) < len(given):
        raise Unfollowable("it inserts an axis twice")
    rest = iter(site.axes(0))
    return [
        [site.labels.pinned(1, "it has a single channel") if k in new else next(rest) for k in range(rank)]
    ]


@RULES.add("Transpose", clean=as_first)
def transpose(site: Site) -> list[Axes]:
    """Axes change places."""
    data = site.axes(0)
    order = site.attribute("perm", list(range(len(data)))[::-1])
    return [[data[k] for k in order]]


@RULES.add("DepthToSpace", clean=as_first)
def depth_to_space(site: Site) -> list[Axes]:
    """``n (p q c) h w -> n c (h p) (w q)``, in CRD mode ``n (c p q) ...``: channels go in blocks."""
    block = int(site.attribute("blocksize"))
    data = site.axes(0)
    channels = len(data[1]) // block**2
    crd = site.attribute("mode", b"DCR") == b"CRD"
    parts = site.labels.split(data[1], (channels, block, block) if crd else (block, block, channels))
    for part in parts[1:] if crd else parts[:2]:
        site.labels.pin(part, "it becomes a spatial axis")
    whole = [site.labels.pinned(n, "it is a spatial axis") for n in site.out_shape()[2:]]
    return [[data[0], parts[0] if crd else parts[2], *whole]]


@RULES.add("SpaceToDepth", clean=as_first)
def space_to_depth(site: Site) -> list[Axes]:
    """``n c (h p) (w q) -> n (p q c) h w``."""
    data = site.axes(0)
    for axis in data[2:]:
        site.labels.pin(axis, "it is a spatial axis")
    blocks = site.labels.pinned(prod([int(site.attribute("blocksize"))] * 2), "it was a spatial axis")
    whole = [site.labels.pinned(n, "it is a spatial axis") for n in site.out_shape()[2:]]
    return [[data[0], site.labels.product([blocks, data[1]]), *whole]]
