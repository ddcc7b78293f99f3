"""Turns solved labels into groups of units, layers, costs and guards."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from onnxprune.coupling.costs import build_sizes
from onnxprune.coupling.engine import Engine, FoundLayer
from onnxprune.coupling.groups import Group, Guard, Layer, Role, Slice, Structure
from onnxprune.coupling.labels import PINNED, Axis, Labels
from onnxprune.coupling.partition import partition
from onnxprune.coupling.partners import Granularity, hold_partners


@dataclass(frozen=True)
class UnitMap:
    """Which leaf is which unit.

    Attributes:
        labels: the solved labels.
        canonical: canonical label of every label.
        products: canonical labels that are products.
        group: group position of every leaf, -1 for other labels.
        unit: unit position within its group of every leaf, -1 for other labels.
        leaves: leaves of each group by name, in unit order.
        known: answers of ``rows`` so far, by axis.
    """

    labels: Labels
    canonical: Axis
    products: tuple[int, ...]
    group: Axis
    unit: Axis
    leaves: dict[str, Axis]
    known: dict[bytes, dict[int, Axis]] = field(default_factory=dict)

    def rows(self, axis: Axis) -> dict[int, Axis]:
        """Unit of each index by group position, -1 where the index belongs to none of its units."""
        canonical = self.canonical[axis]
        key = canonical.tobytes()
        if key not in self.known:
            members = self.labels.member_table(canonical)
            members = members[:, : max(1, int(members.any(axis=0).sum()))]
            groups, units = self.group[members], self.unit[members]
            present = dict.fromkeys(groups[groups >= 0].tolist())
            self.known[key] = {g: np.where(groups == g, units, -1).max(axis=1) for g in present}
        return self.known[key]


def build_structure(engine: Engine, granularity: Granularity = "inner") -> tuple[UnitMap, Structure]:
    """Groups, layers, costs and guards of a visited graph."""
    builder = _Builder(engine, granularity)
    return builder.units, builder.structure()


class _Builder:
    def __init__(self, engine: Engine, granularity: Granularity) -> None:
        self.engine = engine
        self.granularity: Granularity = granularity
        self.labels = engine.labels
        canonical = self.labels.canonical()
        used = [axis for axes in engine.uses.values() for axis in axes]
        seen = np.unique(canonical[np.concatenate(used)]) if used else np.zeros(0, np.int64)
        everywhere = np.unique(canonical)
        self.products = tuple(p for p in everywhere.tolist() if len(self.labels.members(p)) > 1)
        self.members = {p: self.labels.members(p) for p in self.products}
        leaves = self.labels.leaves_of(seen)
        leaves = leaves[leaves != PINNED]
        self.group_of = np.full(len(self.labels), -1, dtype=np.int64)
        self.unit_of = np.full(len(self.labels), -1, dtype=np.int64)
        self.leaves = partition(self.labels, canonical, leaves, used)
        self.leaves = self._in_graph_order(canonical)
        self.group_sizes = np.array([len(own) for own in self.leaves], dtype=np.int64)
        for g, own in enumerate(self.leaves):
            self.group_of[own] = g
            self.unit_of[own] = np.arange(len(own))
        self.units = UnitMap(self.labels, canonical, self.products, self.group_of, self.unit_of, {})

    def _in_graph_order(self, canonical: Axis) -> list[Axis]:
        """Groups by the first layer whose filters they are; constants may be born before their layer."""
        place = np.full(len(self.labels), -1, dtype=np.int64)
        for g, own in enumerate(self.leaves):
            place[own] = g
        order: dict[int, None] = {}
        for found in self.engine.layers:
            members = place[self.labels.member_table(canonical[found.out])]
            order.update(dict.fromkeys(dict.fromkeys(members[members >= 0].tolist())))
        order.update(dict.fromkeys(range(len(self.leaves))))
        return [self.leaves[g] for g in order]

    def structure(self) -> Structure:
        slices = self._slices()
        names = self._names(slices)
        self.units.leaves.update(dict(zip(names, self.leaves, strict=True)))
        statistic = self._touched([a for axes in self.engine.statistics.values() for a in axes])
        unfoldable = self._touched(self.engine.unfoldable) | statistic
        steps = self._steps()
        products = [self.group_of[list(members)].tolist() for members in self.members.values()]
        held = hold_partners(products, self.leaves, statistic, self.granularity)
        groups = tuple(
            Group(
                name=name,
                size=len(self.leaves[g]),
                slices=tuple(slices[g]),
                layers=tuple(dict.fromkeys(s.layer for s in slices[g] if s.role is Role.FILTER)),
                steps=tuple(sorted(steps[g])),
                held=self._held(g, slices[g], held, names),
                changes_statistic=g in statistic,
                foldable=g not in unfoldable,
                signature=_signature(slices[g], self.engine),
            )
            for g, name in enumerate(names)
        )
        layers = tuple(self._layer(found, groups) for found in self._distinct_layers())
        sizes = build_sizes(self.engine, self.units)
        return Structure(groups, layers, sizes, self._guards(groups))

    def _slices(self) -> list[list[Slice]]:
        found: list[list[Slice]] = [[] for _ in self.leaves]
        readers = _first_readers(self.engine)
        for use, axes in self.engine.uses.items():
            for k, axis in enumerate(axes):
                role, site = self.engine.roles.get((use, k), (Role.OTHER, None))
                layer = site.name if site else readers.get(use.constant, "")
                for g, row in self.units.rows(axis).items():
                    found[g].append(Slice(use.constant, k, row, role, layer))
        return found

    def _names(self, slices: list[list[Slice]]) -> list[str]:
        taken: set[str] = set()
        names = []
        for own in slices:
            first = next((s for s in own if s.role is Role.FILTER), own[0])
            base = first.layer or first.constant
            name, n = base, 2
            while name in taken:
                name, n = f"{base}#{n}", n + 1
            taken.add(name)
            names.append(name)
        return names

    def _held(self, g: int, slices: list[Slice], held: dict[int, int], names: list[str]) -> str:
        if len(self.leaves[g]) < 2:
            return "it has a single channel that could be removed"
        if not any(s.role is Role.FILTER for s in slices):
            return "no layer computes it"
        return f"{names[held[g]]} is pruned in its stead" if g in held else ""

    def _touched(self, axes: list[Axis]) -> set[int]:
        """Positions of the groups that any of the axes runs along."""
        if not axes:
            return set()
        labels = np.unique(self.units.canonical[np.concatenate(axes)])
        return set(np.unique(self.group_of[self.labels.member_table(labels)]).tolist()) - {-1}

    def _steps(self) -> dict[int, set[int]]:
        steps: dict[int, set[int]] = defaultdict(set)
        seen: set[bytes] = set()
        for axis, _ in self.engine.fast_axes:
            key = self.units.canonical[axis].tobytes()
            if key in seen:
                continue
            seen.add(key)
            for g, row in self.units.rows(axis).items():
                steps[g].add(int(np.bincount(row[row >= 0]).max()))
        return steps

    def _distinct_layers(self) -> list[FoundLayer]:
        return list({found.site.index: found for found in reversed(self.engine.layers)}.values())[::-1]

    def _layer(self, found: FoundLayer, groups: tuple[Group, ...]) -> Layer:
        own = [groups[g] for g in self.units.rows(found.out)]
        return Layer(
            name=found.site.name,
            op=found.site.node.op_type,
            weight=found.weight,
            channels=len(found.out),
            groups=tuple(group.name for group in own),
            reason=self._why_whole(found.out, own),
        )

    def _why_whole(self, out: Axis, own: list[Group]) -> str:
        """Why some filters must stay, or why none of the groups that they belong to can be cut."""
        if (self.units.canonical[out] == PINNED).any():
            return next(iter(self.labels.reasons(out)), "it is tied to an axis that stays whole")
        return own[0].held if own and all(group.held for group in own) else ""

    def _guards(self, groups: tuple[Group, ...]) -> tuple[Guard, ...]:
        free = {g for g, group in enumerate(groups) if not group.held}
        found: dict[tuple[tuple[str, int], ...], None] = {}
        seen: set[bytes] = set()
        every = [*self.engine.axes.values(), *self.engine.uses.values()]
        for axis in (axis for axes in every for axis in axes):
            if axis.strides == (0,) and len(axis):  # one label all along
                axis = axis[:1]
            canonical = self.units.canonical[axis]
            key = canonical.tobytes()
            if key in seen or not canonical.all() or not canonical.size:  # nothing is pinned in what is empty
                continue
            seen.add(key)
            for members in self._guard_members(canonical, free):
                found[tuple((groups[g].name, u) for g, u in members)] = None
        return tuple(Guard(members) for members in found)

    def _guard_members(self, canonical: Axis, free: set[int]) -> list[list[tuple[int, int]]]:
        """Sets of units of each of which one must stay; none where the axis cannot become empty.

        1. An index that depends on no free unit stays anyway.
        2. An axis with all units of a group stays, because every group keeps one.
        3. Otherwise one of the units that an index depends on alone must stay.
        4. Where every index depends on several, all that the first one depends on must stay.
        """
        whole = np.bincount(self.group_of[np.unique(canonical)] + 1, minlength=len(self.leaves) + 1)[1:]
        if (whole[whole > 0] == self.group_sizes[whole > 0]).any():
            return []
        indices = []
        for label in np.unique(canonical).tolist():
            own = [(int(self.group_of[m]), int(self.unit_of[m])) for m in self.members.get(label, (label,))]
            indices.append([(g, u) for g, u in own if g in free])
        if not all(indices):
            return []
        single = sorted({own[0] for own in indices if len(own) == 1})
        if not single:
            return [[pair] for pair in indices[0]]
        for g in {g for g, _ in single}:
            if sum(other == g for other, _ in single) == len(self.leaves[g]):
                return []
        return [single]


def _first_readers(engine: Engine) -> dict[str, str]:
    readers: dict[str, str] = {}
    for site, _ in engine.sites.values():
        for name in site.node.input:
            if name in engine.model.constants:
                readers.setdefault(name, site.name)
    return readers


def _signature(slices: list[Slice], engine: Engine) -> str:
    """Roles, ranks and kernel sizes of what the group runs along: equal for isomorphic groups."""
    kinds = set()
    for s in slices:
        shape = engine.model.constants[s.constant].shape
        kinds.add((s.role.value, len(shape), shape[2:] if len(shape) > 2 else ()))
    return repr(sorted(kinds))
