"""Chooses which factor of a product axis is pruned: its partners are held."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprune.coupling.labels import Axis

ENOUGH_UNITS = 4
"""A factor with fewer units could only be cut in steps that are too coarse."""


def hold_partners(
    products: Sequence[Sequence[int]], leaves: Sequence[Axis], statistic: set[int]
) -> dict[int, int]:
    """Groups that stay whole because a partner on the same axis is pruned, and which one.

    Removing units of two factors would cut an axis by the product of both ratios. The innermost factor is
    chosen (channels within a group, dimensions within a head: the count of groups or heads stays
    what it was), unless it has too few units, or a normalisation takes its statistic over it and
    there are enough outer units to choose from: whole groups leave the statistic alone.

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
        fine = [g for g in active if len(leaves[g]) >= ENOUGH_UNITS]
        steady = [g for g in fine if g not in statistic]
        chosen = (steady or fine or [max(active, key=lambda g: len(leaves[g]))])[-1]
        for g in active:
            if g != chosen:
                held[g] = chosen
    return held
