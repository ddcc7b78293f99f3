"""Chooses which factor of a product axis is pruned: its partners are held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from onnxprune.coupling.labels import Axis

Granularity = Literal["inner", "outer"]
"""Which factor of an axis is pruned: dimensions within heads and channels within groups, or whole
heads and whole groups."""

ENOUGH_UNITS = 4
"""A factor with fewer units could only be cut in steps that are too coarse."""


def hold_partners(
    products: Sequence[Sequence[int]],
    leaves: Sequence[Axis],
    statistic: set[int],
    granularity: Granularity = "inner",
) -> dict[int, int]:
    """Groups that stay whole because a partner on the same axis is pruned, and which one.

    Removing units of two factors would cut an axis by the product of both ratios. The innermost
    factor is chosen (channels within a group, dimensions within a head: the count of groups or heads
    stays what it was), or the outermost where that is asked for; but not one with too few units, and
    not one that a normalisation takes its statistic over while there is another: whole groups leave
    the statistic alone.

    Args:
        products: group positions of the members of each product label, outermost first.
        leaves: leaves of each group.
        statistic: groups that a normalisation takes its mean over.
        granularity: which end is preferred; outer units are taken however few they are.
    """
    held: dict[int, int] = {}
    tuples = dict.fromkeys(tuple(p) for p in products)
    for members in sorted(tuples, key=len, reverse=True):
        active = [g for g in members if g not in held and len(leaves[g]) > 1]
        if len(set(active)) < 2:
            continue
        enough = ENOUGH_UNITS if granularity == "inner" else 2
        fine = [g for g in active if len(leaves[g]) >= enough]
        steady = [g for g in fine if g not in statistic]
        choice = steady or fine or [max(active, key=lambda g: len(leaves[g]))]
        chosen = choice[-1 if granularity == "inner" else 0]
        for g in active:
            if g != chosen:
                held[g] = chosen
    return held
