"""From scores and a target to the units that stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxprune.coupling.groups import Floats, Group, Indices, Structure
from onnxprune.criteria import Rescore
from onnxprune.errors import UsageError
from onnxprune.plan.align import parse_align
from onnxprune.plan.balance import balanced_counts
from onnxprune.plan.budget import meet_budget
from onnxprune.plan.costs import Costs, compile_costs
from onnxprune.plan.draft import Field, open_field
from onnxprune.plan.options import Plan, PlanOptions
from onnxprune.plan.problem import Problem
from onnxprune.plan.select import choose_units
from onnxprune.plan.targets import BudgetTarget, Metric, RatioTarget

METRICS: tuple[Metric, ...] = ("macs", "params", "bytes")


def make_plan(
    structure: Structure,
    scores: Mapping[str, Floats],
    options: PlanOptions,
    *,
    rescore: Rescore | None = None,
) -> Plan:
    """Decides how many and which units every group keeps.

    1. The globs sort out what stays whole and what has a ratio of its own.
    2. The scope splits the ratio over the groups; a budget finds the ratio that meets it.
    3. The counts are aligned together: for a ratio the MACs stay those of step 2, for a budget
       they end at or below it.
    4. In each group the lowest scores go, and guarded axes are kept from becoming empty.

    Args:
        structure: what coupling found.
        scores: (units,) by group; comparable between groups where the scope compares them.
        options: what to reach and where.
        rescore: gives a group's scores anew, for ``options.greedy``.

    Raises:
        UsageError: options that make no sense, or do not fit the model.
        TargetError: a budget below what can be reached.
    """
    if options.greedy and rescore is None:
        raise UsageError("greedy scoring needs a way to score again.", hint="Pass rescore to make_plan.")
    grid = parse_align(options.align)
    field = open_field(structure, scores, options)
    costs = {
        metric: compile_costs(structure, metric, fixed=options.overhead_bytes if metric == "bytes" else 0.0)
        for metric in METRICS
    }
    draft = _draft(field, options, costs, grid)
    counts = _aligned(field, draft, grid)
    wanted = {group.name: int(count) for group, count in zip(structure.groups, counts, strict=True)}
    kept = choose_units(structure, scores, wanted, rescore=rescore if options.greedy else None)
    final = np.array([len(kept.get(g.name, range(g.size))) for g in structure.groups], dtype=np.int64)
    totals = _totals(costs, final / field.sizes)
    return Plan(
        kept=kept,
        reasons={
            group.name: _reason(group, position, field, draft, int(counts[position]))
            for position, group in enumerate(structure.groups)
            if group.name not in kept
        },
        totals=totals,
        unaligned=totals if grid == 1 else _totals(costs, draft.counts / field.sizes),
        alignment=grid,
    )


@dataclass(frozen=True, eq=False)
class _Draft:
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


def _draft(field: Field, options: PlanOptions, costs: Mapping[Metric, Costs], grid: int) -> _Draft:
    target = options.target
    full = np.ones(len(field.sizes))
    # a model of tables and sums has no MACs to hold
    held = costs["macs" if costs["macs"].total(full) > 0 else "params"]
    if isinstance(target, RatioTarget):
        untouched = "" if target.ratio else "the ratio is 0"
        counts = field.counts(target.ratio) if target.ratio else field.settled
        return _Draft(counts, held, held.total(counts / field.sizes), ceiling=False, untouched=untouched)
    bounded = costs[target.metric]
    met = meet_budget(field, target, bounded, grid)
    present = bounded.total(full)
    if met is None:
        untouched = _met_already(target, present, bounded.total(field.settled / field.sizes))
        total = held.total(field.settled / field.sizes)
        return _Draft(field.settled, held, total, ceiling=False, untouched=untouched)
    return _Draft(met, bounded, target.limit(present), ceiling=True)


def _met_already(target: BudgetTarget, present: float, total: float) -> str:
    return f"{target} holds without cutting it: the model has {target.spell(total, present)}"


def _aligned(field: Field, draft: _Draft, grid: int) -> Indices:
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
    return balanced_counts(problem)


def _totals(costs: Mapping[Metric, Costs], shares: Floats) -> dict[str, float]:
    return {str(metric): compiled.total(shares) for metric, compiled in costs.items()}


def _reason(group: Group, position: int, field: Field, draft: _Draft, count: int) -> str:
    """Why a group was left whole, in plain words; the first that applies."""
    selection = field.selection
    own = selection.ratio_texts.get(group.name, "")
    before = int(draft.counts[position])
    cases = (
        (group.name in selection.whole, selection.whole.get(group.name, "")),
        (selection.ratios.get(group.name) == 0.0, f"its own ratio is 0 (--layer-ratio {own})"),
        (bool(draft.untouched) and not own, draft.untouched),
        (group.size <= 1, "it has a single unit, which has to stay"),
        (count < group.size, "an axis that runs along it would become empty"),
        (before < group.size, _off_grid(group, before)),
        (True, "none of its units is among the least important, or rounding leaves none to remove"),
    )
    return next(text for applies, text in cases if applies)


def _off_grid(group: Group, count: int) -> str:
    return (
        f"alignment: {count} of {group.size} units would have stayed, and cutting it to a count at which "
        "convolutions are fast would remove too much"
    )
