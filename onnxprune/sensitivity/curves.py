"""What a cut of one group is predicted to cost, from the points of a scan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.sensitivity.document import Point, Row

Curve = Callable[[Indices], Floats]
"""Kept counts -> predicted loss of each, 0 at the whole group, never falling as less is kept."""

WORST = 1e3
"""Stands for an infinite noise-to-signal ratio: a dead output."""


def curve(row: Row, loss: Callable[[Point], float]) -> Curve:
    """The loss between the points of a row: straight lines, from none at the whole group on.

    Noise makes measured curves fall in places; each point counts at least as much as those before it.

    Args:
        row: of a scan.
        loss: what a point costs.
    """
    known = {row.channels: 0.0}
    for point in row.points:
        known[point.kept] = loss(point)
    kept = np.array(sorted(known, reverse=True))
    losses = np.maximum.accumulate(np.array([known[count] for count in kept]))

    def predicted(counts: Indices) -> Floats:
        return np.interp(row.channels - counts, row.channels - kept, losses)

    return predicted
