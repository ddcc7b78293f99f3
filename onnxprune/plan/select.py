"""Which units of each group go: the lowest scores, ties by index, no guarded axis left empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Floats, Guard, Indices, Structure
from onnxprune.criteria import Rescore

Mask = npt.NDArray[np.bool_]


def best_units(scores: Floats, count: int) -> Indices:
    """Positions of the ``count`` highest scores, ascending; of equal scores the first ones go."""
    order = np.argsort(scores, kind="stable")
    return np.sort(order[len(scores) - count :]).astype(np.int64)


def choose_units(
    structure: Structure,
    scores: Mapping[str, Floats],
    counts: Mapping[str, int],
    *,
    rescore: Rescore | None = None,
) -> dict[str, Indices]:
    """The kept units of every group that loses some.

    Args:
        structure: groups, in the order in which greedy selection walks, and guards.
        scores: (units,) by group.
        counts: how many units each group keeps; one that is not named keeps all.
        rescore: greedy selection: called for each group in turn with what was kept before it.

    Returns:
        Group name -> kept positions, ascending. A guard may leave a group more than its count,
        where no unit of the group can go in its stead.
    """
    kept: dict[str, Indices] = {}
    used: dict[str, Floats] = dict(scores)
    for group in structure.groups:
        count = counts.get(group.name, group.size)
        if count < group.size:
            if rescore is not None:
                used[group.name] = rescore(group, kept)
            kept[group.name] = best_units(used[group.name], count)
    broken = [guard for guard in structure.guards if not _alive(guard, kept)]
    return _Repair(structure, used, kept).mend(broken) if broken else kept


def _alive(guard: Guard, kept: Mapping[str, Indices]) -> bool:
    """Whether a member of the guard survives."""
    return any(name not in kept or _holds(kept[name], unit) for name, unit in guard.members)


def _holds(ascending: Indices, unit: int) -> bool:
    place = int(np.searchsorted(ascending, unit))
    return place < len(ascending) and int(ascending[place]) == unit


class _Repair:
    """Gives back the best unit of each broken guard, and takes another of the same group for it."""

    def __init__(
        self, structure: Structure, scores: Mapping[str, Floats], kept: Mapping[str, Indices]
    ) -> None:
        self._scores = scores
        self._sizes = {group.name: group.size for group in structure.groups}
        self._masks: dict[str, Mask] = {name: self._mask(name, units) for name, units in kept.items()}
        self._guards_of: dict[tuple[str, int], list[Guard]] = {}
        for guard in structure.guards:
            for member in guard.members:
                self._guards_of.setdefault(member, []).append(guard)

    def mend(self, broken: Sequence[Guard]) -> dict[str, Indices]:
        """The kept units with every guard satisfied; groups that lose nothing any more are gone."""
        for guard in broken:
            if guard.members and not self._survivors(guard):
                name, unit = max(guard.members, key=lambda m: (self._rank(*m), -m[1]))
                self._masks[name][unit] = True
                self._take_another(name, unit)
        cut = {name: mask for name, mask in self._masks.items() if not mask.all()}
        return {name: np.flatnonzero(mask).astype(np.int64) for name, mask in cut.items()}

    def _take_another(self, name: str, restored: int) -> None:
        """Removes the worst kept unit that no guard needs, so that the count stays what it was."""
        mask = self._masks[name]
        for unit in np.argsort(self._scores[name], kind="stable"):
            guards = self._guards_of.get((name, int(unit)), ())
            if mask[unit] and unit != restored and all(self._survivors(g) > 1 for g in guards):
                mask[unit] = False
                return

    def _survivors(self, guard: Guard) -> int:
        """How many members of a guard are kept."""
        return sum(name not in self._masks or bool(self._masks[name][unit]) for name, unit in guard.members)

    def _rank(self, name: str, unit: int) -> float:
        """Share of the group's units that score lower: comparable between groups."""
        scores = self._scores[name]
        return float((scores < scores[unit]).mean())

    def _mask(self, name: str, units: Indices) -> Mask:
        mask = np.zeros(self._sizes[name], dtype=bool)
        mask[units] = True
        return mask
