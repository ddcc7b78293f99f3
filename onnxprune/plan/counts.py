"""How many units every group keeps: the plain plan, and the plan on the grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.plan.balance import balanced_counts
from onnxprune.plan.budget import meet_budget
from onnxprune.plan.costs import Costs
from onnxprune.plan.field import Field
from onnxprune.plan.problem import TOLERANCE, Problem
from onnxprune.plan.targets import BudgetTarget, CountsTarget, Metric, RatioTarget, Target


@dataclass(frozen=True, eq=False)
class Draft:
    """The plain plan and what its alignment has to hold.

    Attributes:
        counts: (groups,) before alignment.
        costs: the metric to hold.
        target: its value.
        ceiling: whether it must not be exceeded.
        untouched: why the movable groups are left as they are; empty when they are not.
    """

    counts: Indices
    costs: Costs
    target: float
    ceiling: bool
    untouched: str = ""


def draft_counts(field: Field, target: Target, costs: Mapping[Metric, Costs], grid: int) -> Draft:
    """The plain plan for a target.

    Args:
        field: which groups the target moves.
        target: what to reach.
        costs: every metric.
        grid: of the alignment to come, which limits what a budget can reach.

    Raises:
        TargetError: a budget below what can be reached.
    """
    full = np.ones(len(field.sizes))
    # a model of tables and sums has no MACs to hold
    held = costs["macs" if costs["macs"].total(full) > 0 else "params"]
    if isinstance(target, RatioTarget):
        counts = field.counts(target.ratio) if target.ratio else field.settled
        untouched = "" if target.ratio or field.given else "the ratio is 0"
        return Draft(counts, held, held.total(counts / field.sizes), ceiling=False, untouched=untouched)
    if isinstance(target, CountsTarget):
        return Draft(field.settled, held, held.total(field.settled / field.sizes), ceiling=False)
    bounded = costs[target.metric]
    present = bounded.total(full)
    met = meet_budget(field, target, bounded, grid)
    if met is not None:
        return Draft(met, bounded, target.limit(present), ceiling=True)
    shares = field.settled / field.sizes
    if field.given:
        return Draft(field.settled, bounded, bounded.total(shares), ceiling=True)
    untouched = _met_already(target, present, bounded.total(shares))
    return Draft(field.settled, held, held.total(shares), ceiling=False, untouched=untouched)


def _met_already(target: BudgetTarget, present: float, total: float) -> str:
    return f"{target} holds without cutting it: the model has {target.spell(total, present)}"


def align_counts(field: Field, draft: Draft, grid: int) -> Indices:
    """The counts on the grid; a budget is filled to the unit even without one."""
    if grid == 1 and not draft.ceiling:
        return draft.counts
    choices = field.choices(draft.counts, grid)
    if draft.untouched:
        movable = set(field.movable.tolist())
        choices = tuple(c[-1:] if place in movable else c for place, c in enumerate(choices))
    problem = Problem(draft.costs, field.sizes, draft.counts, choices, draft.target, ceiling=draft.ceiling)
    if draft.ceiling and problem.smallest() > draft.target:
        # a group below 4 units is rounded up; others then have to give more than they would
        problem = replace(problem, choices=field.choices(draft.counts, grid, least=True))
    if draft.ceiling:
        return balanced_counts(problem)
    # what no convolution touches has no grid, so it makes up for the others only where it has to
    kept = tuple(
        choices if group.steps else np.intersect1d(choices, count)
        for group, choices, count in zip(field.structure.groups, choices, draft.counts, strict=True)
    )
    steady = balanced_counts(replace(problem, choices=kept))
    if _miss(problem, steady) <= TOLERANCE:
        return steady
    shifted = balanced_counts(problem)
    return shifted if _miss(problem, shifted) <= TOLERANCE else steady


def _miss(problem: Problem, counts: Indices) -> float:
    """How far the total is from the target, as a share of it."""
    total = problem.costs.total(counts / problem.sizes)
    return abs(total - problem.target) / (abs(problem.target) or 1.0)
