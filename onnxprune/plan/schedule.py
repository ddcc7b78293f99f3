"""How many units every group keeps after each step of an iterative run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from types import MappingProxyType

from onnxprune.coupling.groups import Structure

Counts = Mapping[str, int]
"""Group -> units that it keeps; a group that is not named keeps all."""

Way = Callable[[Sequence[tuple[str, int, int]], int], list[Counts]]
"""(group, units, units at the end) of the groups that lose some, and a number of steps -> counts by step."""


def schedule_counts(
    structure: Structure, final: Counts, steps: int | None, way: str = "linear"
) -> list[Counts]:
    """Counts by step; the last ones are the final ones, and none ever grow.

    Args:
        structure: the groups, in graph order.
        final: what stays at the end.
        steps: wanted; None for one, or for one a group where groups take turns. There are fewer where
            there are not so many different counts.
        way: a key of ``SCHEDULES``.

    Returns:
        One or more; a step that would remove nothing is left out.
    """
    losing = [
        (group.name, group.size, final[group.name])
        for group in structure.groups
        if final.get(group.name, group.size) < group.size
    ]
    found: list[Counts] = []
    for counts in SCHEDULES[way](losing, steps or (len(losing) if way == LAYERWISE else 1)):
        if any(counts[name] < (found[-1] if found else {}).get(name, size) for name, size, _ in losing):
            found.append(counts)
    return found or [final]


def _linear(losing: Sequence[tuple[str, int, int]], steps: int) -> list[Counts]:
    """Every step removes as many units of a group as every other."""
    return [
        {name: size - round((size - left) * step / steps) for name, size, left in losing}
        for step in range(1, steps + 1)
    ]


def _geometric(losing: Sequence[tuple[str, int, int]], steps: int) -> list[Counts]:
    """Every step removes the same share of what the step before has left."""
    return [
        {
            name: left if step == steps else max(left, round(size * (left / size) ** (step / steps)))
            for name, size, left in losing
        }
        for step in range(1, steps + 1)
    ]


def _layerwise(losing: Sequence[tuple[str, int, int]], steps: int) -> list[Counts]:
    """Groups take turns in graph order: each step cuts the next ones to what they keep at the end.

    One group a step is layer by layer as in Li et al. 2017 (arXiv 1608.08710, section 3.4).
    """
    reached = [ceil(len(losing) * step / steps) for step in range(1, steps + 1)]
    return [
        {name: left if place < done else size for place, (name, size, left) in enumerate(losing)}
        for done in reached
    ]


LAYERWISE = "layerwise"

SCHEDULES: Mapping[str, Way] = MappingProxyType(
    {"linear": _linear, "geometric": _geometric, LAYERWISE: _layerwise}
)
"""How counts go from all units to the final ones."""
