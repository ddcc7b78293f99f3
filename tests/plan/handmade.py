"""Structures built by hand, as coupling would find them: channel axes, convolutions, their costs."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import (
    AxisSize,
    Group,
    Guard,
    Layer,
    Role,
    SizeModel,
    Slice,
    Structure,
    Term,
)

PIXELS = 100


class Net:
    """Grows a network layer by layer; a channel axis is a list of (count, groups it depends on)."""

    def __init__(self):
        self.groups: list[dict] = []
        self.layers: list[Layer] = []
        self.axes: list[AxisSize] = []
        self.macs: list[Term] = []
        self.params: list[Term] = []
        self.guards: list[Guard] = []

    def group(self, name, size, *, steps=(1,), held="", signature="", indices=1):
        """Opens a group of ``size`` units and returns the axis that they run along."""
        self.groups.append(
            {
                "name": name,
                "size": size,
                "steps": steps,
                "held": held,
                "signature": signature,
                "slices": [],
                "layers": [],
            }
        )
        return [(size * indices, (len(self.groups) - 1,))]

    def fixed(self, size):
        """An axis that nothing prunes."""
        return [(size, ())]

    def conv(self, name, source, target, *, kernel=3, depthwise=False):
        """A convolution: weight (target, source, kernel, kernel), one bias."""
        axes = [self._axis(target)] if depthwise else [self._axis(target), self._axis(source)]
        self.macs.append(Term(float(kernel * kernel * PIXELS), tuple(axes)))
        self.params.append(Term(float(kernel * kernel), tuple(axes)))
        self.params.append(Term(1.0, (axes[0],)))
        owners = self._mark(name, target, 0, Role.FILTER)
        if not depthwise:
            self._mark(name, source, 1, Role.INPUT)
        size = sum(count for count, _ in target)
        self.layers.append(Layer(name, "Conv", f"{name}.weight", size, owners))
        return target

    def build(self):
        groups = tuple(
            Group(
                g["name"],
                g["size"],
                tuple(g["slices"]),
                tuple(g["layers"]),
                steps=g["steps"],
                held=g["held"],
                signature=g["signature"],
            )
            for g in self.groups
        )
        by_bytes = tuple(Term(4 * t.factor, t.axes) for t in self.params)
        sizes = SizeModel(tuple(self.axes), tuple(self.macs), tuple(self.params), by_bytes)
        return Structure(groups, tuple(self.layers), sizes, tuple(self.guards))

    def _axis(self, parts):
        axis = AxisSize(tuple(parts))
        if axis not in self.axes:
            self.axes.append(axis)
        return self.axes.index(axis)

    def _mark(self, layer, parts, axis, role):
        """Adds a slice to each group on an axis of the layer's weight."""
        total = sum(count for count, _ in parts)
        start, owners = 0, []
        for count, members in parts:
            for member in members:
                units = np.full(total, -1)
                size = self.groups[member]["size"]
                units[start : start + count] = np.arange(count) * size // count
                self.groups[member]["slices"].append(Slice(f"{layer}.weight", axis, units, role, layer))
                owners.append(self.groups[member]["name"])
                if role is Role.FILTER:
                    self.groups[member]["layers"].append(layer)
            start += count
        return tuple(dict.fromkeys(owners))


def chain(*widths, steps=(1,), signature=""):
    """conv0 -> conv1 -> ... -> head; group i is ``conv<i>``."""
    net = Net()
    source = net.fixed(3)
    for place, width in enumerate(widths):
        target = net.group(f"conv{place}", width, steps=steps, signature=signature)
        net.conv(f"conv{place}", source, target)
        source = target
    net.conv("head", source, net.fixed(10), kernel=1)
    return net.build()


def residual(stream=64, inner=(32, 48, 64)):
    """A stem writes a stream that blocks add to; each block has its own inner group."""
    net = Net()
    trunk = net.group("stem", stream)
    net.conv("stem", net.fixed(3), trunk)
    for place, width in enumerate(inner):
        middle = net.conv(f"block{place}.a", trunk, net.group(f"block{place}.a", width))
        net.conv(f"block{place}.b", middle, trunk)
    net.conv("head", trunk, net.fixed(10), kernel=1)
    return net.build()


def inverted(widths=(24, 40), expand=6):
    """Expansion, depthwise, projection, as in MobileNetV2."""
    net = Net()
    source = net.conv("stem", net.fixed(3), net.group("stem", 32))
    for place, width in enumerate(widths):
        wide = net.group(f"expand{place}", width * expand)
        net.conv(f"expand{place}", source, wide, kernel=1)
        net.conv(f"depthwise{place}", wide, wide, depthwise=True)
        source = net.conv(f"project{place}", wide, net.group(f"project{place}", width), kernel=1)
    net.conv("head", source, net.fixed(10), kernel=1)
    return net.build()


def dense(layers=4, growth=32, stem=64):
    """Every layer reads the concatenation of all before it."""
    net = Net()
    parts = list(net.conv("stem", net.fixed(3), net.group("stem", stem)))
    for place in range(layers):
        fresh = net.group(f"layer{place}", growth)
        net.conv(f"layer{place}", list(parts), fresh)
        parts += fresh
    net.conv("head", parts, net.fixed(10), kernel=1)
    return net.build()


def grouped(groups=8, inside=4):
    """A grouped convolution: its output axis is the product of two groups, one unit many indices."""
    net = Net()
    source = net.conv("stem", net.fixed(3), net.group("stem", 32))
    net.group("paths", groups, steps=(inside,))
    net.group("inside", inside, steps=(groups,))
    both = [(groups * inside, (1, 2))]
    net.axes.append(AxisSize(tuple(both)))
    axis = len(net.axes) - 1
    net.macs += [Term(1.0 * PIXELS, (axis, net._axis(source))), Term(9.0 * inside * PIXELS, (axis,))]
    net.params += [Term(1.0, (axis, net._axis(source))), Term(9.0 * inside, (axis,))]
    return net.build()


def scores_of(structure, seed=0):
    """Random scores for every group."""
    rng = np.random.default_rng(seed)
    return {group.name: rng.random(group.size) for group in structure.groups}


def counts_of(structure, plan):
    """Kept units by group, untouched groups included."""
    return {g.name: len(plan.kept.get(g.name, range(g.size))) for g in structure.groups}


def predicted(structure, counts):
    """The size model's own totals for kept counts by group: the slow, obvious way."""
    shares = np.array([counts[g.name] / g.size for g in structure.groups])
    return structure.sizes.totals(shares)
