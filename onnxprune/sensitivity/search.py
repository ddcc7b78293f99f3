"""Chooses how many units every group keeps: the fewest multiply-accumulates within a bound on the loss.

1. Greedy walk. Starting from the whole model, again and again the step is taken that saves the most
   for what it is predicted to cost. Predictions come from the curves of the groups alone and add up.
2. Bisection. The walk is one list of plans, each smaller than the one before it. The last plan within
   the bound is looked for by measuring plans end to end, first the one that is predicted to meet it; how
   far that prediction was off says where to look next.
3. Filling up. Predictions err, and the one step that breaks the bound says nothing about the other
   groups: from there on every step is measured; one that breaks the bound is tried at half its length,
   then its group is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.plan.costs import Costs
from onnxprune.sensitivity.curves import Curve

MOST_CHOICES = 16
"""Counts of a group among which is chosen."""

MOST_TRIALS = 60
"""Plans that are measured at most, where nothing else is said."""

AWAY = 8
"""A measurement cuts off an eighth of the walk at least, and corrects predictions so many times at most."""

LEAST_GAIN = 1e-3
"""Share of the multiply-accumulates below which a step is not worth a measurement."""

Measure = Callable[[Mapping[str, int]], float]
"""From kept counts by group to the loss that is bounded, in points; lower is better."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What may be chosen.

    Attributes:
        names: (groups,) of all groups of the model.
        sizes: (groups,) their units.
        choices: by name of the groups that may be cut: the counts they may have, ascending, the last
            one all units.
        curves: for the same groups the predicted loss.
        costs: what is to become small.
        floor: predicted loss that every step is taken to have at least, so that noise does not decide.
    """

    names: tuple[str, ...]
    sizes: Indices
    choices: Mapping[str, Indices]
    curves: Mapping[str, Curve]
    costs: Costs
    floor: float


@dataclass(frozen=True)
class Trial:
    """A plan that was measured.

    Attributes:
        counts: kept units by group.
        cost: what the plan costs.
        predicted: loss that the curves add up to.
        loss: what was measured.
    """

    counts: Mapping[str, int]
    cost: float
    predicted: float
    loss: float


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        best: the cheapest plan within the bound; None where even the first step breaks it.
        trials: everything that was measured, in order.
    """

    best: Trial | None
    trials: tuple[Trial, ...]


def search(problem: Problem, measure: Measure, bound: float, *, trials: int = MOST_TRIALS) -> Found:
    """Look for the cheapest plan whose measured loss is within the bound.

    Args:
        problem: groups, counts, predictions.
        measure: takes the loss of a plan, from surgery to metric.
        bound: on the loss.
        trials: plans that are measured at most.
    """
    return _Search(problem, measure, bound, trials).run()


class _Search:
    def __init__(self, problem: Problem, measure: Measure, bound: float, most: int) -> None:
        self._problem = problem
        self._measure = measure
        self._bound = bound
        self._most = most
        self._trials: list[Trial] = []
        self._place = {name: place for place, name in enumerate(problem.names)}
        self._choices = {name: thinned(own) for name, own in problem.choices.items()}
        self._losses = {name: problem.curves[name](counts) for name, counts in self._choices.items()}

    def run(self) -> Found:
        path = self._path()
        good, bad = self._bisect(path)
        limits: dict[str, int] = {}
        if bad < len(path):
            self._shorten(limits, path[good], path[bad])
        self._fill(path[good], limits)
        within = [trial for trial in self._trials if trial.loss <= self._bound]
        return Found(min(within, key=lambda trial: trial.cost, default=None), tuple(self._trials))

    def _bisect(self, path: list[dict[str, int]]) -> tuple[int, int]:
        """Positions of two neighbours on the walk, the first within the bound, the second not."""
        predicted = np.array([self._predicted(at) for at in path])
        good, bad, scale = 0, len(path), 1.0
        while bad - good > 1 and len(self._trials) < self._most:
            guess = int(np.searchsorted(predicted, self._bound / scale, side="right")) - 1
            away = max(1, (bad - good) // AWAY)
            place = min(max(guess, good + away), bad - away)
            if self._within(path[place]):
                good = place
            else:
                bad = place
            loss = max(self._trials[-1].loss, self._bound / AWAY)
            scale = float(np.clip(loss / max(predicted[place], self._problem.floor), 1 / AWAY, AWAY))
        return good, bad

    def _path(self) -> list[dict[str, int]]:
        """Plans as positions in the lists of choices, from the whole model to the smallest."""
        at = {name: len(own) - 1 for name, own in self._choices.items()}
        path = [dict(at)]
        while (step := self._step(at, {})) is not None:
            at[step[0]] = step[1]
            path.append(dict(at))
        return path

    def _fill(self, at: dict[str, int], limits: dict[str, int]) -> None:
        at = dict(at)
        while len(self._trials) < self._most and (step := self._step(at, limits)) is not None:
            after = {**at, step[0]: step[1]}
            if self._within(after):
                at = after
            else:
                self._shorten(limits, at, after)

    def _shorten(self, limits: dict[str, int], at: Mapping[str, int], broke: Mapping[str, int]) -> None:
        """Let the group whose step broke the bound go half as far at most from now on."""
        for name in at:
            if broke[name] < at[name]:
                limits[name] = broke[name] + (at[name] - broke[name] + 1) // 2

    def _step(self, at: Mapping[str, int], limits: Mapping[str, int]) -> tuple[str, int] | None:
        """The group and the position that save the most for what they are predicted to cost."""
        shares = self._shares(at)
        now = self._problem.costs.total(shares)
        best: tuple[float, str, int] | None = None
        for name, position in at.items():
            lowest = limits.get(name, 0)
            if position <= lowest:
                continue
            counts, losses = self._choices[name][lowest:position], self._losses[name]
            plans = np.repeat(shares[None, :], len(counts), axis=0)
            place = self._place[name]
            plans[:, place] = counts / self._problem.sizes[place]
            gains = now - self._problem.costs.totals(plans)
            worth = gains / (losses[lowest:position] - losses[position] + self._problem.floor)
            worth[gains < LEAST_GAIN * now] = 0.0
            top = int(np.argmax(worth))
            if worth[top] > 0 and (best is None or worth[top] > best[0]):
                best = (float(worth[top]), name, lowest + top)
        return None if best is None else best[1:]

    def _within(self, at: Mapping[str, int]) -> bool:
        counts = {name: int(self._choices[name][position]) for name, position in at.items()}
        cost = self._problem.costs.total(self._shares(at))
        self._trials.append(Trial(counts, cost, self._predicted(at), self._measure(counts)))
        return self._trials[-1].loss <= self._bound

    def _predicted(self, at: Mapping[str, int]) -> float:
        return float(sum(self._losses[name][position] for name, position in at.items()))

    def _shares(self, at: Mapping[str, int]) -> Floats:
        shares = np.ones(len(self._problem.names))
        for name, position in at.items():
            place = self._place[name]
            shares[place] = self._choices[name][position] / self._problem.sizes[place]
        return shares


def thinned(choices: Indices) -> Indices:
    """A limited number of the counts, evenly spread, the ends among them."""
    if len(choices) <= MOST_CHOICES:
        return choices
    chosen = np.linspace(0, len(choices) - 1, MOST_CHOICES).round().astype(np.int64)
    few: Indices = choices[chosen]
    return few
