"""Chooses which factor of a product axis is pruned: its partners are held."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprune.coupling.labels import Axis

ENOUGH_GROUPS = 4
"""With at least this many groups a normalisation is pruned by whole groups, which leaves its
statistic alone; with fewer the steps would be too coarse."""


def hold_partners(products: Sequence[Sequence[int]], leaves: Sequence[Axis], statistic: set[int]) -> dict[int, int]:
    """Groups that stay whole because a partner on the same axis is pruned, and which one.

    Removing units of two factors would cut an axis by the product of both ratios. The innermost factor is
    chosen (channels within a group, dimensions within a head: the count of groups or heads stays
    what it was), unless a statistic runs over it and there are enough outer units to choose from.

    Args:
        products: group positions of the members of each product label, outermost first.
        leaves: leaves of each group.
        statistic: groups that a normalisation takes its mean over.
    """
    held: dict[int, int] = {}
    tuples = dict.fromkeys(tuple(p) for p in products)
    for members in sorted(tuples, key=len, reverse=True):
        active = [g for g in members if g not in held and len(leaves[g]) > 1]
        if len(set(active)) < 2:
            continue
        chosen = active[-1]
        outer = [g for g in active[:-1] if len(leaves[g]) >= ENOUGH_GROUPS and g not in statistic]
        if chosen in statistic and outer:
            chosen = outer[-1]
        for g in active:
            if g != chosen:
                held[g] = chosen
    return held
