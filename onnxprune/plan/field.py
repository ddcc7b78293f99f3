"""Sorts the groups: which of them the target moves, and what holds for the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Floats, Indices, Structure
from onnxprune.errors import UsageError
from onnxprune.plan.align import admissible_counts
from onnxprune.plan.allocate import Allocation, allocation, kept_count, scope
from onnxprune.plan.options import PlanOptions
from onnxprune.plan.selectors import Selection, select


@dataclass(frozen=True, eq=False)
class Field:
    """Which groups the target may move, and what holds for the others.

    Attributes:
        structure: groups, costs and guards.
        selection: what the user's globs say.
        sizes: (groups,) units of each group.
        settled: (groups,) counts where nothing is done for the target: whole groups, those with a
            ratio of their own at that ratio, and the movable ones at full size.
        movable: positions of the groups that the target moves.
        allocate: ratio -> counts of the movable groups.
    """

    structure: Structure
    selection: Selection
    sizes: Indices
    settled: Indices
    movable: Indices
    allocate: Allocation

    def counts(self, ratio: float) -> Indices:
        """Counts of all groups, (groups,), when the movable ones lose the ratio."""
        counts = self.settled.copy()
        counts[self.movable] = self.allocate(ratio)
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
        UsageError: a glob that matches nothing, a ratio or scope that is none, scores that do not
            fit the groups.
    """
    selection = select(
        structure, include=options.include, exclude=options.exclude, layer_ratios=options.layer_ratios
    )
    chosen = scope(options.scope)
    settled = [
        group.size
        if group.name in selection.whole
        else kept_count(group.size, selection.ratios.get(group.name, 0.0))
        for group in structure.groups
    ]
    movable = [
        position
        for position, group in enumerate(structure.groups)
        if group.name not in selection.whole and group.name not in selection.ratios
    ]
    _check_scores(structure, scores, selection)
    groups = [structure.groups[position] for position in movable]
    return Field(
        structure=structure,
        selection=selection,
        sizes=np.array([group.size for group in structure.groups], dtype=np.int64),
        settled=np.array(settled, dtype=np.int64),
        movable=np.array(movable, dtype=np.int64),
        allocate=allocation(groups, [scores[group.name] for group in groups], chosen),
    )


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
