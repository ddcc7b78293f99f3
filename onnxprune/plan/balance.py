"""Chooses the counts of all groups together, so that rounding does not change the total."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Floats, Indices
from onnxprune.plan.combinations import best_combination
from onnxprune.plan.problem import FINE, TOLERANCE, Problem

REACHES = (1 / 16, 1 / 4, 1 / 2, 1.0)
"""Shares of its units that a group may end up from its wanted count, tried in turn."""

USUAL = 1 / 4
"""Farther reaches are taken only where they bring the total within tolerance: nobody asked for layers
that are distorted in vain."""

NEAR = 0.01
"""Share of the target within which no farther counts are tried."""

COARSE = 64
"""Most choices of a group in the first pass; longer lists are walked in longer strides first."""

PAIRS = 24
"""Pairs of moves that are priced exactly; their order comes from adding up single moves."""


def balanced_counts(problem: Problem) -> Indices:
    """Counts among the choices whose total is near the target, each near its wanted count.

    First every group may only take the counts next to its wanted one, so that no layer is cut much
    harder or left much wider than was asked; where that does not come near enough, those farther
    away join. Each time the walk starts from the group's nearest choice and takes, until the total
    is within ``FINE``:

    1. the single step up or down that strains the counts least for what it gains;
    2. where no single step helps, the pair of steps that lands nearest;
    3. where the choices are few and steps do not get there, all combinations near by.

    Args:
        problem: sizes, choices and target; deterministic for equal input.

    Returns:
        (groups,) counts; at or below a ceiling unless every combination is above it.
    """
    found: list[Indices] = []
    for reach in REACHES:
        counts = _walked(replace(problem, choices=_within(problem, reach)))
        miss = problem.misses(problem.costs.totals((counts / problem.sizes)[None, :]))[0]
        if miss <= NEAR * problem.target:
            return counts
        if reach <= USUAL or problem.ceiling or miss <= TOLERANCE * problem.target:
            found.append(counts)
    return found[int(np.argmin(problem.badness(np.array(found))))]


def _walked(problem: Problem) -> Indices:
    """One walk; long lists of choices are walked in longer strides first."""
    counts = problem.wanted
    thinned = tuple(_thinned(c, int(w)) for c, w in zip(problem.choices, problem.wanted, strict=True))
    if any(len(few) < len(all_) for few, all_ in zip(thinned, problem.choices, strict=True)):
        counts = _Walk(replace(problem, choices=thinned), counts).run()
    return _Walk(problem, counts).run()


def _within(problem: Problem, reach: float) -> tuple[Indices, ...]:
    """The choices next to the wanted counts, and those within a share of the group's size."""
    found = []
    for choices, wanted, size in zip(problem.choices, problem.wanted, problem.sizes, strict=True):
        near = np.abs(choices - wanted) <= reach * size
        place = int(np.searchsorted(choices, wanted))
        near[max(0, place - 1) : place + 1] = True
        found.append(choices[near])
    return tuple(found)


def _thinned(choices: Indices, wanted: int) -> Indices:
    """At most about ``COARSE`` of the choices, the ends and the one nearest to the wanted among them."""
    if len(choices) <= COARSE:
        return choices
    nearest = int(np.argmin(np.abs(choices - wanted)))
    spread = np.arange(0, len(choices), -(-len(choices) // COARSE))
    few: Indices = choices[np.unique([*spread, nearest, len(choices) - 1])]
    return few


@dataclass(frozen=True, eq=False)
class _Moves:
    """Single steps, shape (moves,) each."""

    group: Indices
    position: Indices
    change: Floats
    strain: Floats


class _Walk:
    """Local search over positions in the lists of choices, laid end to end."""

    def __init__(self, problem: Problem, start: Indices) -> None:
        self._problem = problem
        lengths = np.array([len(c) for c in problem.choices], dtype=np.int64)
        self._flat = np.concatenate([np.zeros(0, dtype=np.int64), *problem.choices])
        self._first = np.cumsum(lengths) - lengths
        self._last = self._first + lengths - 1
        # of two choices equally near the larger one: a filter too many does no harm
        gaps = [np.abs(c - s)[::-1] for c, s in zip(problem.choices, start, strict=True)]
        self._at = self._last - np.array([int(np.argmin(gap)) for gap in gaps], dtype=np.int64)

    def run(self) -> Indices:
        """Walks until nothing improves; returns the counts, (groups,)."""
        while self._miss() > FINE * abs(self._problem.target):
            moves = self._moves()
            found = self._single(moves)
            if found is None:
                found = self._pair(moves)
            if found is None:
                return best_combination(self._problem, self._counts())
            self._at = found
        return self._counts()

    def _counts(self) -> Indices:
        counts: Indices = self._flat[self._at]
        return counts

    def _error(self) -> float:
        return self._problem.costs.total(self._counts() / self._problem.sizes) - self._problem.target

    def _miss(self) -> float:
        return float(self._problem.misses(np.array(self._error() + self._problem.target)))

    def _moves(self) -> _Moves:
        """Every single step up or down that is possible."""
        counts = self._counts()
        shares = counts / self._problem.sizes
        strain = self._problem.strains(counts)
        steps = []
        for step in (-1, 1):
            position = np.clip(self._at + step, self._first, self._last)
            after = self._flat[position]
            change = self._problem.costs.changes(shares, after / counts)
            group = np.flatnonzero((position != self._at) & (change != 0))
            gained = self._problem.strains(after) - strain
            steps.append((group, position[group], change[group], gained[group]))
        return _Moves(*(np.concatenate(column) for column in zip(*steps, strict=True)))

    def _single(self, moves: _Moves) -> Indices | None:
        """The step with the least strain for what it gains; None where no step gains."""
        error = self._error()
        gain = np.abs(error) - np.abs(error + moves.change)
        if self._problem.ceiling:
            below = error <= 1e-9 * abs(self._problem.target)
            # below the ceiling only what fits under it, above it whatever leads down
            gain = np.where(error + moves.change <= 0, moves.change, 0.0) if below else -moves.change
            gain = gain if below else np.minimum(gain, error)
        useful = gain > 1e-9 * abs(self._problem.target)
        if not useful.any():
            return None
        price = np.where(useful, moves.strain / np.where(useful, gain, 1.0), np.inf)
        return self._moved(moves, [int(np.argmin(price))])

    def _pair(self, moves: _Moves) -> Indices | None:
        """The pair of steps that lands nearest; None where none improves by a fair part."""
        pairs = self._likely_pairs(moves)
        if not pairs:
            return None
        states = [self._moved(moves, pair) for pair in pairs]
        counts = np.array([self._flat[state] for state in states])
        misses = self._problem.misses(self._problem.costs.totals(counts / self._problem.sizes))
        fair = misses < self._miss() - 0.1 * FINE * abs(self._problem.target)
        best = int(np.argmin(np.where(fair, self._problem.badness(counts), np.inf)))
        return states[best] if fair[best] else None

    def _likely_pairs(self, moves: _Moves) -> list[list[int]]:
        """Pairs of moves of two groups whose changes nearly cancel the error, best first."""
        order = np.argsort(moves.change, kind="stable")
        if len(order) < 2:
            return []
        changes = moves.change[order]
        error = self._error()
        right = np.searchsorted(changes, -error - changes)
        candidates: list[npt.NDArray[np.int64]] = []
        for offset in (-2, -1, 0, 1):
            other = np.clip(right + offset, 0, len(order) - 1)
            candidates.append(np.stack([np.arange(len(order)), other], axis=1))
        pairs = np.unique(np.sort(np.concatenate(candidates), axis=1), axis=0)
        groups = moves.group[order][pairs]
        pairs = pairs[groups[:, 0] != groups[:, 1]]
        misses = self._problem.misses(error + changes[pairs].sum(axis=1) + self._problem.target)
        likely = pairs[np.argsort(misses, kind="stable")[:PAIRS]]
        return [[int(order[a]), int(order[b])] for a, b in likely]

    def _moved(self, moves: _Moves, chosen: Sequence[int]) -> Indices:
        """The positions after some moves of different groups."""
        at = self._at.copy()
        at[moves.group[chosen]] = moves.position[chosen]
        return at
