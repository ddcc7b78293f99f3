"""Tries every combination of counts where there are few: steps alone can end in a dead end."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.plan.problem import TOLERANCE, Problem

MOST = 40_000
"""Combinations that are tried at most."""

WORK = 20_000_000
"""Products of shares that are computed at most, over all combinations, to get within tolerance."""

POLISH = 2_000_000
"""The same where the total is within tolerance already."""

BLOCK = 1_000_000
"""The same for one vectorised evaluation, which bounds the memory."""

NEAR = 2
"""Choices to either side that are tried first, so that no count goes astray for the last percent."""


def best_combination(problem: Problem, counts: Indices) -> Indices:
    """The best of the combinations near the given counts, or of all where that is not good enough.

    Args:
        problem: choices and target.
        counts: (groups,) where the search by steps ended; returned where nothing is better.
    """
    allowed = TOLERANCE * abs(problem.target)
    work = WORK if _miss(problem, counts) > allowed else POLISH
    found = _best(problem, counts, _affordable(problem, counts, _window(problem, counts, NEAR), work))
    if _miss(problem, found) > allowed:
        found = _best(problem, found, _affordable(problem, found, problem.choices, work))
    return found


def _miss(problem: Problem, counts: Indices) -> float:
    total = problem.costs.totals((counts / problem.sizes)[None, :])
    return float(problem.misses(total)[0])


def _window(problem: Problem, counts: Indices, reach: int) -> tuple[Indices, ...]:
    """The choices up to ``reach`` places from the present one."""
    places = [int(np.searchsorted(c, count)) for c, count in zip(problem.choices, counts, strict=True)]
    return tuple(c[max(0, p - reach) : p + reach + 1] for c, p in zip(problem.choices, places, strict=True))


def _best(problem: Problem, counts: Indices, options: tuple[Indices, ...]) -> Indices:
    """The least bad combination of options, or the given counts."""
    shape = tuple(len(o) for o in options)
    best, least = counts, problem.badness(counts[None, :])[0]
    step = max(1, BLOCK // _work(problem))
    for start in range(0, int(np.prod(shape)), step):
        flat = np.arange(start, min(start + step, int(np.prod(shape))))
        places = np.unravel_index(flat, shape)
        tried = np.stack([o[place] for o, place in zip(options, places, strict=True)], axis=1)
        badness = problem.badness(tried)
        place = int(np.argmin(badness))
        if badness[place] < least:
            best, least = tried[place], badness[place]
    return best


def _affordable(
    problem: Problem, counts: Indices, options: tuple[Indices, ...], work: int
) -> tuple[Indices, ...]:
    """The options of the groups that matter most; the others keep their counts.

    Grows the set from the group whose options move the total most, as far as the number of
    combinations stays affordable.
    """
    shares = counts / problem.sizes
    low = np.array([o[0] for o in options]) / counts
    high = np.array([o[-1] for o in options]) / counts
    leverage = problem.costs.changes(shares, high) - problem.costs.changes(shares, low)
    limit = min(MOST, work // _work(problem))
    taken = [np.array([count]) for count in counts]
    combinations = 1
    for group in np.argsort(-leverage, kind="stable"):
        if leverage[group] > 0 and combinations * len(options[group]) <= limit:
            taken[group] = options[group]
            combinations *= len(options[group])
    return tuple(taken)


def _work(problem: Problem) -> int:
    """Products that pricing one plan takes."""
    return max(1, problem.costs.part_groups.size + problem.costs.term_axes.size)
