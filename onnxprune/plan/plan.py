"""From scores and a target to the units that stay."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.coupling.groups import Floats, Indices, Structure
from onnxprune.criteria import Rescore
from onnxprune.errors import UsageError
from onnxprune.plan.align import parse_align
from onnxprune.plan.costs import Costs, compile_costs
from onnxprune.plan.counts import Draft, align_counts, draft_counts
from onnxprune.plan.field import Field, open_field
from onnxprune.plan.options import Plan, PlanOptions
from onnxprune.plan.reasons import reason_left_whole
from onnxprune.plan.select import choose_units
from onnxprune.plan.targets import Metric

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
    2. The scope splits the ratio over the groups; a budget finds the ratio first; counts are taken as
       they are.
    3. The counts are aligned together, with the MACs of step 2 or at or below the budget.
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
    grid = parse_align(options.align)
    field = open_field(structure, scores, options)
    costs = _costs(structure, options)
    draft = draft_counts(field, options.target, costs, grid)
    counts = align_counts(field, draft, grid)
    wanted = {group.name: int(count) for group, count in zip(structure.groups, counts, strict=True)}
    kept = choose_units(structure, scores, wanted, rescore=_rescore(options, rescore))
    left = [len(kept.get(group.name, range(group.size))) for group in structure.groups]
    totals = _totals(costs, np.array(left) / field.sizes)
    return Plan(
        kept=kept,
        reasons=_reasons(field, draft, counts, kept, grid=grid),
        totals=totals,
        unaligned=totals if grid == 1 else _totals(costs, draft.counts / field.sizes),
        alignment=grid,
    )


def plain_counts(structure: Structure, scores: Mapping[str, Floats], options: PlanOptions) -> Indices:
    """How many units each group would keep before alignment, (groups,).

    Raises:
        UsageError: options that make no sense, or do not fit the model.
        TargetError: a budget below what can be reached.
    """
    field = open_field(structure, scores, options)
    return draft_counts(field, options.target, _costs(structure, options), parse_align(options.align)).counts


def _costs(structure: Structure, options: PlanOptions) -> dict[Metric, Costs]:
    return {metric: compile_costs(structure, metric, fixed=_fixed(metric, options)) for metric in METRICS}


def _rescore(options: PlanOptions, rescore: Rescore | None) -> Rescore | None:
    """The way to score again, where the options ask for it."""
    if options.greedy and rescore is None:
        raise UsageError("greedy scoring needs a way to score again.", hint="Pass rescore to make_plan.")
    return rescore if options.greedy else None


def _fixed(metric: Metric, options: PlanOptions) -> float:
    """What a total holds beside the constants."""
    return options.overhead_bytes if metric == "bytes" else 0.0


def _reasons(
    field: Field, draft: Draft, counts: Indices, kept: Mapping[str, Indices], *, grid: int
) -> dict[str, str]:
    return {
        group.name: reason_left_whole(position, field, draft, count=int(counts[position]), grid=grid)
        for position, group in enumerate(field.structure.groups)
        if group.name not in kept
    }


def _totals(costs: Mapping[Metric, Costs], shares: Floats) -> dict[str, float]:
    return {str(metric): compiled.total(shares) for metric, compiled in costs.items()}
