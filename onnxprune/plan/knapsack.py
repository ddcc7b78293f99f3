"""The counts that keep the most importance within a cost.

Shen et al. 2021, "HALP: Hardware-Aware Latency Pruning" (arXiv 2110.10811) state pruning to a latency as a
knapsack: a unit's value is its importance, its weight the time that it adds. Two things differ here.

- HALP looks the time of a layer up for the present width of the layer before it. Here every step is priced
  on the whole model, with the widths of all groups as they are at that step.
- HALP adds importance up. A sum trades a narrow group whose units are dear for a wide one whose units are
  cheap, down to the floor: a residual stream ends as a bottleneck. Signals pass one layer after the other, so
  what counts here is the logarithm of the share of importance that a group keeps. Its weight, the root of
  units times layers, lies between counting every layer once (a product of shares) and every unit once
  (HALP's sum); ``docs/latency.md`` has the comparison. Losses on one scale are added up as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from onnxprune.coupling.groups import Floats, Indices

Cost = Callable[[Indices], Floats]
"""Cost (plans,) of plans of counts, (plans, groups)."""

LOOK_AHEAD = 4
"""Choices down, or up, that are tried at once: on a staircase single steps may save nothing."""

SWAPPED = 24
"""Groups on each side that exchanges are tried with."""

MOST_CHOICES = 48
"""Longer lists of counts are thinned to so many."""

EVEN = 101
"""Shares at which all groups are cut alike, as another start."""

EXCHANGES = 300
"""At most; each of them gains importance, so they end by themselves."""


@dataclass(frozen=True, eq=False)
class Items:
    """What there is to choose from.

    Attributes:
        choices: for each group the counts that it may have, ascending.
        values: for each of them what it is worth; gains and losses of all groups add up.
        cost: of whole plans.
    """

    choices: tuple[Indices, ...]
    values: tuple[Floats, ...]
    cost: Cost

    def counts(self, at: Indices) -> Indices:
        """Counts of plans given as positions in the choices, (plans, groups) or (groups,)."""
        return self._table[np.arange(len(self.choices)), at]

    @property
    def last(self) -> Indices:
        """Positions of the largest choices, (groups,)."""
        return np.array([len(own) - 1 for own in self.choices], dtype=np.int64)

    def __post_init__(self) -> None:
        width = max((len(own) for own in self.choices), default=1)
        table = np.zeros((len(self.choices), width), dtype=np.int64)
        for row, own in zip(table, self.choices, strict=True):
            row[: len(own)] = own
        object.__setattr__(self, "_table", table)

    _table: Indices = field(init=False, repr=False)


def items(choices: Sequence[Indices], scores: Sequence[Floats], weights: Floats, cost: Cost) -> Items:
    """Choices valued by the share of importance that they keep; long lists of choices are thinned.

    Args:
        choices: for each group the counts that it may have, ascending.
        scores: (units,) of each group, higher = more important; below 0 counts as 0.
        weights: (groups,) what groups weigh against each other.
        cost: of whole plans.
    """
    few = tuple(thinned(own) for own in choices)
    shares = [kept_share(own)[counts - 1] for own, counts in zip(scores, few, strict=True)]
    values = tuple(weight * np.log(share) for weight, share in zip(weights.tolist(), shares, strict=True))
    return Items(few, values, cost)


def loss_items(choices: Sequence[Indices], losses: Sequence[Floats], cost: Cost) -> Items:
    """Choices valued by what they do not lose.

    Args:
        choices: for each group the counts that it may have, ascending.
        losses: (units,) of each group, on one scale for all of them.
        cost: of whole plans.
    """
    few = tuple(thinned(own) for own in choices)
    best = [np.sort(own)[::-1] for own in losses]
    values = tuple((own.cumsum() - own.sum())[n - 1] for own, n in zip(best, few, strict=True))
    return Items(few, values, cost)


def kept_share(scores: Floats) -> Floats:
    """Share of a group's importance that its best 1, 2, ... units hold, (units,)."""
    # the small constant makes units of no importance equal rather than free
    best = np.sort(np.maximum(scores, 0.0))[::-1]
    total = (best + 1e-6 * max(float(best.mean()), 1e-300)).cumsum()
    share: Floats = total / total[-1]
    return share


class Knapsack:
    """Plans of the most importance for any budget.

    Walks from the whole model to the smallest plan, each time taking the step that loses the least
    importance for what it saves. A budget picks the first plan on that path that holds it; room that
    is left, and exchanges between two groups, are then used as far as they gain. The same is tried from
    the plan that cuts all groups alike, and the better result counts.
    """

    def __init__(self, given: Items) -> None:
        self._items = given
        self._path = [given.last]
        self._costs = [float(given.cost(given.counts(given.last)[None, :])[0])]
        while self._path[-1].any():
            self._step()

    @property
    def smallest(self) -> float:
        """The least cost on the path."""
        return min(self._costs)

    def counts(self, budget: float) -> Indices:
        """Counts (groups,) of much importance whose cost is at most the budget, or the cheapest plan."""
        starts = [
            plans[int(np.argmax(costs <= budget))]
            for plans, costs in ((np.array(self._path), np.array(self._costs)), self._even)
            if (costs <= budget).any()
        ]
        if not starts:
            return self._items.counts(self._path[int(np.argmin(self._costs))])
        return self._items.counts(max((self._improved(at, budget) for at in starts), key=self._value))

    @cached_property
    def _even(self) -> tuple[Indices, Floats]:
        """Plans in which all groups keep about the same share, from the whole model down, and their costs.

        Where several groups make up one axis, no step of a single one may save a block; these plans
        start beyond that.
        """
        choices = self._items.choices
        shares = np.linspace(1.0, 0.0, EVEN)
        at = [np.maximum(np.searchsorted(own, shares * own[-1], side="right") - 1, 0) for own in choices]
        plans = np.array(at, dtype=np.int64).reshape(len(choices), EVEN).T
        return plans, self._items.cost(self._items.counts(plans))

    def _value(self, at: Indices) -> float:
        return float(sum(own[place] for own, place in zip(self._items.values, at, strict=True)))

    def _step(self) -> None:
        at = self._path[-1]
        moves = _moves(at, np.maximum(at - LOOK_AHEAD, 0), at - 1)
        plans = _moved(at, moves)
        costs = self._items.cost(self._items.counts(plans))
        saved = self._costs[-1] - costs
        lost = self._lost(at, moves)
        # what saves nothing goes last, cheapest first
        price = np.where(saved > 0, lost / np.maximum(saved, 1e-300), np.inf)
        place = int(np.argmin(price)) if np.isfinite(price).any() else int(np.argmin(lost))
        self._path.append(plans[place])
        self._costs.append(float(costs[place]))

    def _lost(self, at: Indices, moves: Indices) -> Floats:
        """Importance that single moves lose, (moves,); negative where they gain."""
        values = self._items.values
        return np.array([values[group][at[group]] - values[group][place] for group, place in moves.tolist()])

    def _improved(self, at: Indices, budget: float) -> Indices:
        for _ in range(EXCHANGES):
            found = self._raised(at, budget)
            if found is None:
                found = self._exchanged(at, budget)
            if found is None:
                break
            at = found
        return at

    def _raised(self, at: Indices, budget: float) -> Indices | None:
        """The plan with one more choice of a group that gains most for what it adds, if any fits."""
        moves = _moves(at, at + 1, np.minimum(at + LOOK_AHEAD, self._items.last))
        if not len(moves):
            return None
        plans = _moved(at, moves)
        costs = self._items.cost(self._items.counts(plans))
        gains = -self._lost(at, moves)
        fits = (costs <= budget) & (gains > 0)
        if not fits.any():
            return None
        now = float(self._items.cost(self._items.counts(at)[None, :])[0])
        worth = np.where(fits, gains / np.maximum(costs - now, 1e-9 * budget), -np.inf)
        raised: Indices = plans[int(np.argmax(worth))]
        return raised

    def _exchanged(self, at: Indices, budget: float) -> Indices | None:
        """The best plan with one group a choice up and another one down, if it gains anything."""
        last = self._items.last
        up, down = _moves(at, at + 1, np.minimum(at + 1, last)), _moves(at, np.maximum(at - 1, 0), at - 1)
        if not (len(up) and len(down)):
            return None
        now = float(self._items.cost(self._items.counts(at)[None, :])[0])
        gained, lost = -self._lost(at, up), self._lost(at, down)
        added = self._items.cost(self._items.counts(_moved(at, up))) - now
        saved = now - self._items.cost(self._items.counts(_moved(at, down)))
        tiny = 1e-9 * budget
        up_first = np.argsort(-gained / np.maximum(added, tiny), kind="stable")[:SWAPPED]
        down_first = np.argsort(lost / np.maximum(saved, tiny), kind="stable")[:SWAPPED]
        first, second = (own.ravel() for own in np.meshgrid(up_first, down_first, indexing="ij"))
        plans = np.repeat(at[None, :], len(first), axis=0)
        rows = np.arange(len(first))
        plans[rows, up[first, 0]] = up[first, 1]
        plans[rows, down[second, 0]] = down[second, 1]
        gains = gained[first] - lost[second]
        fits = (up[first, 0] != down[second, 0]) & (gains > 1e-12)
        fits &= self._items.cost(self._items.counts(plans)) <= budget
        if not fits.any():
            return None
        best: Indices = plans[int(np.argmax(np.where(fits, gains, -np.inf)))]
        return best


def thinned(choices: Indices) -> Indices:
    """At most about ``MOST_CHOICES`` of ascending counts, both ends among them."""
    if len(choices) <= MOST_CHOICES:
        return choices
    few: Indices = choices[np.unique(np.linspace(0, len(choices) - 1, MOST_CHOICES).round().astype(np.int64))]
    return few


def _moves(at: Indices, low: Indices, high: Indices) -> Indices:
    """Every (group, position) with the position from low to high, (moves, 2)."""
    found = [
        (group, place)
        for group, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
        for place in range(first, last + 1)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _moved(at: Indices, moves: Indices) -> Indices:
    """The plans after each single move, (moves, groups)."""
    plans = np.repeat(at[None, :], len(moves), axis=0)
    plans[np.arange(len(moves)), moves[:, 0]] = moves[:, 1]
    return plans
