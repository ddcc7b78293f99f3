"""The question that alignment asks: one count a group, their total near a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.plan.costs import Costs

TOLERANCE = 0.03
"""How far the total may end from the target where the choices allow better."""

FINE = 0.002
"""Near enough to stop looking."""

STRAIN_PRICE = 0.05
"""How much nearer the total has to come for counts that end up far from the wanted ones."""

FAR = 1.0
"""Above everything that is within tolerance."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Counts to choose, one a group.

    Attributes:
        costs: the metric that has to come near the target.
        sizes: (groups,) units of each group.
        wanted: (groups,) counts to stay near, relative to the sizes.
        choices: for each group the counts it may have, ascending; a fixed group has one.
        target: of the metric.
        ceiling: the target must not be exceeded.
    """

    costs: Costs
    sizes: Indices
    wanted: Indices
    choices: tuple[Indices, ...]
    target: float
    ceiling: bool = False

    def misses(self, totals: Floats) -> Floats:
        """How bad totals are; a total over a ceiling is worse than every one below it."""
        errors = totals - self.target
        if not self.ceiling:
            return np.abs(errors)
        allowed = 1e-9 * abs(self.target)
        return np.where(errors <= allowed, np.abs(errors), errors + 1e6 * (1.0 + abs(self.target)))

    def strains(self, counts: Indices) -> Floats:
        """Squared distance from the wanted counts relative to the sizes, shape as ``counts``."""
        distance: Floats = ((counts - self.wanted) / self.sizes) ** 2
        return distance

    def badness(self, counts: Indices) -> Floats:
        """What a choice among whole plans minimises, (plans,) for counts of shape (plans, groups).

        1. Near enough: below 0, by strain alone.
        2. Within tolerance: below ``FAR``, by the miss, with a price on strain.
        3. Off: by the miss, strain deciding only between equals.
        """
        totals = self.costs.totals(counts / self.sizes)
        misses = self.misses(totals) / (abs(self.target) or 1.0)
        strain = self.strains(counts).sum(axis=1)
        strain = strain / (1.0 + strain)
        near = np.where(misses <= FINE, strain - 1.0, misses + STRAIN_PRICE * strain)
        badness: Floats = np.where(misses <= TOLERANCE, near, FAR + misses + 1e-9 * strain)
        return badness

    def smallest(self) -> float:
        """The least total that the choices allow."""
        return self.costs.total(np.array([c[0] for c in self.choices]) / self.sizes)
