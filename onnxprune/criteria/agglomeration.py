"""Redundancy as an order: the closest pair of units loses one of its two, again and again.

A unit's score is its distance to the unit that stands in for it when it goes. That distance never
shrinks from one step to the next, so every ratio and every threshold cuts the same nested order: a
threshold keeps a set of which no two units are closer than it.
"""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats
from onnxprune.criteria.weights import Mask


def agglomerate(distances: Floats, importance: Floats, alive: Mask, *, farthest: float) -> Floats:
    """Distance of each unit to its stand-in at the moment it goes, (units,).

    Of the closest pair the unit of less importance goes, of equal ones the second. Ties between
    pairs go by index.

    Args:
        distances: (units, units), symmetric; NaN where two units have nothing to compare.
        importance: (units,) decides which of a pair goes.
        alive: (units,) the others are not looked at and score 0.
        farthest: the largest distance there is: the score of the last unit, to which nothing is left
            that could stand in for it, and what NaN stands for.
    """
    places = np.flatnonzero(alive)
    near = np.array(distances[np.ix_(places, places)], dtype=np.float64)
    near[np.isnan(near)] = farthest
    np.fill_diagonal(near, np.inf)
    weight = importance[places]
    scores = np.full(len(places), farthest)
    partner = near.argmin(axis=1) if len(places) else np.zeros(0, dtype=np.int64)
    closest = near.min(axis=1, initial=np.inf)
    for _ in range(len(places) - 1):
        first = int(closest.argmin())
        second = int(partner[first])
        first, second = min(first, second), max(first, second)
        gone = first if weight[first] < weight[second] else second
        scores[gone] = near[first, second]
        near[gone, :] = near[:, gone] = np.inf
        closest[gone] = np.inf
        for row in np.flatnonzero((partner == gone) & np.isfinite(closest)):
            partner[row] = near[row].argmin()
            closest[row] = near[row, partner[row]]
    found = np.zeros(len(distances))
    found[places] = scores
    return found
