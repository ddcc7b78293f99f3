"""What coupling finds: layers, groups of coupled channels, and how sizes follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Role(Enum):
    """What an axis of a constant means to the layer that reads it."""

    FILTER = "filter"  # one index, one filter: the output axis of a contraction
    INPUT = "input"  # the axis contracted with the incoming activation
    SCALE = "scale"  # multiplicative parameter of a normalisation
    BIAS = "bias"
    OTHER = "other"  # anything else that carries the channel (elementwise constants, statistics)


@dataclass(frozen=True)
class Slice:
    """One axis of one constant that a group runs along.

    Attributes:
        constant: name of the constant in the source file.
        axis: the axis of that constant.
        units: (length of the axis,) for each index the group's unit it belongs to, -1 for none.
            Several indices may belong to one unit (heads, grouped convolutions, flattened maps).
        role: what the axis means to the layer.
        layer: name of the layer (node) that reads the constant here.
    """

    constant: str
    axis: int
    units: Indices
    role: Role
    layer: str


@dataclass(frozen=True)
class Group:
    """Channels that can only be removed together across layers, unit by unit.

    Attributes:
        name: the first layer whose filters are the group's units; unique in the model.
        size: number of units that can be chosen from.
        slices: every constant axis that the units run along, in graph order.
        layers: names of the layers whose filters belong to the group, in graph order.
        steps: kept unit counts must be a multiple of one of these for a convolution to stay on the
            fast path: how many indices one unit stands for, on each axis that a convolution reads
            or writes; empty where only matrix products are involved.
        held: why the group is left whole whatever the target (a partner axis is pruned in its
            stead, a single unit), or an empty string.
        changes_statistic: a normalisation takes its statistic over the units.
        foldable: every reader of the units is a weighted contraction, so a unit that is constant or
            a duplicate can be folded into the others.
        signature: equal for groups of the same structure (isomorphic scope).
    """

    name: str
    size: int
    slices: tuple[Slice, ...]
    layers: tuple[str, ...]
    steps: tuple[int, ...] = ()
    held: str = ""
    changes_statistic: bool = False
    foldable: bool = False
    signature: str = ""

    def filters(self) -> tuple[Slice, ...]:
        """The slices that hold the group's filters; all slices where there are none."""
        found = tuple(s for s in self.slices if s.role is Role.FILTER)
        return found or self.slices


@dataclass(frozen=True)
class Layer:
    """A node with weights, as the report lists it.

    Attributes:
        name: node name, or the name of its first output.
        op: operator type.
        weight: name of its weight constant in the source file.
        channels: size of its output channel axis.
        groups: names of the groups that its output channels belong to.
        reason: why (part of) its output channels cannot be removed; empty when all can.
    """

    name: str
    op: str
    weight: str
    channels: int
    groups: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class AxisSize:
    """How long an axis is, as a sum of products over the groups it runs along.

    Attributes:
        parts: (number of indices in the source, indices of the groups they depend on): with a
            share ``f_g`` of the units of each group kept, the axis keeps
            ``sum(count * prod(f_g for g in groups))`` indices.
    """

    parts: tuple[tuple[int, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Term:
    """A cost that is a product of axis lengths: ``factor * prod(length of each axis)``."""

    factor: float
    axes: tuple[int, ...]


@dataclass(frozen=True)
class SizeModel:
    """Parameters, bytes and MACs as functions of the share of units kept in each group.

    Attributes:
        axes: the distinct axes that the terms refer to by position.
        macs: multiply-accumulate terms (batch size 1).
        params: one term a constant, in elements of float tensors.
        bytes: one term a constant, in bytes.
    """

    axes: tuple[AxisSize, ...]
    macs: tuple[Term, ...]
    params: tuple[Term, ...]
    bytes: tuple[Term, ...]

    def lengths(self, shares: Floats) -> Floats:
        """Length of every axis, shape (axes,), for the kept shares, shape (groups,)."""
        return np.array(
            [
                sum(count * float(np.prod(shares[list(groups)])) for count, groups in axis.parts)
                for axis in self.axes
            ]
        )

    def totals(self, shares: Floats) -> dict[str, float]:
        """``macs``, ``params`` and ``bytes`` for the kept shares, shape (groups,)."""
        lengths = self.lengths(shares)
        return {
            name: float(sum(t.factor * np.prod(lengths[list(t.axes)]) for t in terms))
            for name, terms in (("macs", self.macs), ("params", self.params), ("bytes", self.bytes))
        }


@dataclass(frozen=True)
class Guard:
    """An axis that must not become empty: at least one of these (group, unit) pairs survives."""

    members: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Structure:
    """The result of coupling: what can be removed, and what follows from removing it.

    Attributes:
        groups: in graph order.
        layers: in graph order.
        sizes: cost model; group positions are those of ``groups``.
        guards: axes shorter than their group, which selection must keep non-empty.
    """

    groups: tuple[Group, ...]
    layers: tuple[Layer, ...]
    sizes: SizeModel
    guards: tuple[Guard, ...] = ()

    def by_name(self) -> Mapping[str, Group]:
        """Groups by name."""
        return {group.name: group for group in self.groups}
