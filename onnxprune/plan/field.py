"""Sorts the groups: which of them the target moves, and what holds for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxprune.coupling.groups import Floats, Group, Indices, Structure
from onnxprune.errors import UsageError
from onnxprune.plan.align import admissible_counts
from onnxprune.plan.allocate import Allocation, allocation, kept_count, scope
from onnxprune.plan.options import PlanOptions
from onnxprune.plan.selectors import Selection, select
from onnxprune.plan.targets import BudgetTarget, CountsTarget


@dataclass(frozen=True, eq=False)
class Field:
    """Which groups the target may move, and what holds for the others.

    Attributes:
        structure: groups, costs and guards.
        selection: what the user's globs say.
        sizes: (groups,) units of each group.
        settled: (groups,) counts where nothing is done for a ratio or a budget: whole groups, those
            with a ratio of their own at that ratio, and the movable ones at full size, or at the
            counts that the options give.
        movable: positions of the groups that the target moves.
        allocate: ratio -> counts of the movable groups.
        given: whether the options give counts, which then hold beside the target.
    """

    structure: Structure
    selection: Selection
    sizes: Indices
    settled: Indices
    movable: Indices
    allocate: Allocation
    given: bool = False

    def counts(self, ratio: float) -> Indices:
        """Counts of all groups, (groups,), when the movable ones lose the ratio."""
        counts = self.settled.copy()
        counts[self.movable] = np.minimum(self.allocate(ratio), counts[self.movable])
        return counts

    def choices(self, wanted: Indices, grid: int, *, least: bool = False) -> tuple[Indices, ...]:
        """Counts that each group may have on a grid, given the plain plan.

        With ``least`` the movable groups may be cut as far as the grid allows at all. A group with
        a ratio of its own only moves to the neighbours of its count: the user said how much of it
        goes.
        """
        movable = set(self.movable.tolist())
        found: list[Indices] = []
        for position, group in enumerate(self.structure.groups):
            count = int(wanted[position])
            if position in movable:
                found.append(admissible_counts(group, grid, wanted=1 if least else count))
            elif count == group.size:
                found.append(np.array([count], dtype=np.int64))
            else:
                found.append(_neighbours(admissible_counts(group, grid, wanted=count), count))
        return tuple(found)


def open_field(structure: Structure, scores: Mapping[str, Floats], options: PlanOptions) -> Field:
    """Sorts the groups by what the options say about them.

    Raises:
        UsageError: a glob that matches nothing, a ratio or scope that is none, scores or counts that
            do not fit the groups.
    """
    selection = select(
        structure, include=options.include, exclude=options.exclude, layer_ratios=options.layer_ratios
    )
    chosen = scope(options.scope)
    given = _given_counts(structure, options)
    if isinstance(options.target, CountsTarget):
        selection = _without_uncounted(selection, structure, given, options.target.reason)
    settled = [_settled(group, selection, given) for group in structure.groups]
    movable = [
        position
        for position, group in enumerate(structure.groups)
        if group.name not in selection.whole and group.name not in selection.ratios
    ]
    _check_scores(structure, scores, selection)
    groups = [structure.groups[position] for position in movable]
    weighed = options.priced and chosen.across_groups
    prices = savings(structure, movable, options) if weighed else np.ones(len(movable))
    return Field(
        structure=structure,
        selection=selection,
        sizes=np.array([group.size for group in structure.groups], dtype=np.int64),
        settled=np.array(settled, dtype=np.int64),
        movable=np.array(movable, dtype=np.int64),
        allocate=allocation(
            groups, [scores[g.name] / price for g, price in zip(groups, prices, strict=True)], chosen
        ),
        given=bool(given),
    )


def savings(structure: Structure, places: list[int], options: PlanOptions) -> Floats:
    """What the first unit of each of these groups saves of the target's metric, (places,), never 0."""
    metric = options.target.metric if isinstance(options.target, BudgetTarget) else "macs"
    shares = np.ones(len(structure.groups))
    full = structure.sizes.totals(shares)[metric]
    found = np.zeros(len(places))
    for i, place in enumerate(places):
        less = shares.copy()
        less[place] -= 1.0 / structure.groups[place].size
        found[i] = full - structure.sizes.totals(less)[metric]
    floor = 1e-6 * max(float(found.max(initial=0.0)), 1.0)
    return np.maximum(found, floor)


def _given_counts(structure: Structure, options: PlanOptions) -> Mapping[str, int]:
    """Most units that each group keeps, by the target and by the options.

    Raises:
        UsageError: there is no such group, or it has not that many units.
    """
    given = dict(options.most)
    if isinstance(options.target, CountsTarget):
        for name, count in options.target.counts.items():
            given[name] = min(count, given.get(name, count))
    sizes = {group.name: group.size for group in structure.groups}
    for name, count in given.items():
        if not 1 <= count <= sizes.get(name, 0):
            known = f"has {sizes[name]} units" if name in sizes else "is no group of this model"
            raise UsageError(f"{count} units cannot stay of {name!r}: it {known}.", hint="Keep at least one.")
    return given


def _without_uncounted(
    selection: Selection, structure: Structure, given: Mapping[str, int], reason: str
) -> Selection:
    """The selection with the groups left whole of which the counts take nothing."""
    whole = dict(selection.whole)
    for group in structure.groups:
        if group.name not in selection.ratios and given.get(group.name, group.size) == group.size:
            whole.setdefault(group.name, reason)
    return replace(selection, whole=whole)


def _settled(group: Group, selection: Selection, given: Mapping[str, int]) -> int:
    """The count of a group where nothing is done for a ratio or a budget."""
    if group.name in selection.whole:
        return group.size
    if group.name in selection.ratios:
        return kept_count(group.size, selection.ratios[group.name])
    return given.get(group.name, group.size)


def _neighbours(choices: Indices, count: int) -> Indices:
    """The choices next to a count, below and above, or the count itself."""
    below, above = choices[choices <= count][-1:], choices[choices >= count][:1]
    return np.unique(np.concatenate([below, above]))


def _check_scores(structure: Structure, scores: Mapping[str, Floats], selection: Selection) -> None:
    for group in structure.groups:
        if group.name in selection.whole:
            continue
        given = scores.get(group.name)
        shape = None if given is None else given.shape
        if shape != (group.size,):
            raise UsageError(
                f"the group {group.name!r} has {group.size} units, but scores of shape {shape}.",
                hint="Give one score a unit for every group that may be cut.",
            )
