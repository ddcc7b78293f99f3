"""Budgets: the ratio at which a plan's predicted MACs, parameters or bytes meet a bound."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Indices
from onnxprune.errors import TargetError
from onnxprune.plan.costs import Costs
from onnxprune.plan.field import Field
from onnxprune.plan.targets import BudgetTarget

HALVINGS = 48
"""Steps of the bisection: finer than one unit of any model."""

ALMOST_ALL = 1.0 - 1e-12
"""The ratio at which every group keeps a single unit."""


def meet_budget(field: Field, target: BudgetTarget, costs: Costs, grid: int) -> Indices | None:
    """Counts of the plain plan at the smallest ratio that meets a budget.

    Args:
        field: the groups and how a ratio is split over them.
        target: the bound.
        costs: the bounded metric.
        grid: of the alignment to come, which limits what can be reached.

    Returns:
        (groups,) counts, or None where the bound holds without touching the movable groups.

    Raises:
        TargetError: the bound lies below the smallest plan that the options allow.
    """
    present = costs.total(np.ones(len(field.sizes)))
    limit = target.limit(present) * (1.0 + 1e-12)

    def total(counts: Indices) -> float:
        return costs.total(counts / field.sizes)

    if total(field.settled) <= limit:
        return None
    _check_reachable(field, target, costs, grid)
    low, high = 0.0, ALMOST_ALL
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if total(field.counts(middle)) <= limit:
            high = middle
        else:
            low = middle
    return field.counts(high)


def _check_reachable(field: Field, target: BudgetTarget, costs: Costs, grid: int) -> None:
    """Raises where even the smallest counts on the grid exceed the bound; names the nearest bound."""
    present = costs.total(np.ones(len(field.sizes)))
    smallest = _smallest(field, costs, grid)
    if smallest <= target.limit(present) * (1.0 + 1e-12):
        return
    nearest = target.spell(smallest, present, up=True)
    finer = _smallest(field, costs, 1)
    ways = [f"Ask for {target.option} {nearest} or more"]
    if finer < smallest:
        ways.append(f"use --align off, which reaches {target.spell(finer, present, up=True)}")
    if not len(field.movable):
        ways = ["No layer of the model can be cut under these options"]
    elif field.selection.whole or field.selection.ratios:
        ways.append("or let more layers be cut")
    raise TargetError(
        f"{target} cannot be met: the smallest that these options allow is {nearest}.",
        hint=", ".join(ways) + ".",
    )


def _smallest(field: Field, costs: Costs, grid: int) -> float:
    """The least total on a grid."""
    counts = np.array([choices[0] for choices in field.choices(field.settled, grid, least=True)])
    return costs.total(counts / field.sizes)
