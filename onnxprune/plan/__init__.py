"""The plan: how many and which units of every group stay."""

from __future__ import annotations

from onnxprune.plan.align import admissible_counts, fast_grid, parse_align
from onnxprune.plan.allocate import SCOPES, kept_count, scope
from onnxprune.plan.options import Plan, PlanOptions
from onnxprune.plan.plan import make_plan
from onnxprune.plan.selectors import parse_layer_ratio
from onnxprune.plan.stages import Stage, StagedPlan, plan_stages
from onnxprune.plan.targets import (
    BudgetTarget,
    CountsTarget,
    Metric,
    RatioTarget,
    Target,
    parse_macs,
    parse_params,
    parse_ratio,
    parse_size,
)

__all__ = [
    "SCOPES",
    "BudgetTarget",
    "CountsTarget",
    "Metric",
    "Plan",
    "PlanOptions",
    "RatioTarget",
    "Stage",
    "StagedPlan",
    "Target",
    "admissible_counts",
    "fast_grid",
    "kept_count",
    "make_plan",
    "parse_align",
    "parse_layer_ratio",
    "parse_macs",
    "parse_params",
    "parse_ratio",
    "parse_size",
    "plan_stages",
    "scope",
]
