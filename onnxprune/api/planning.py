"""From a model to a plan: couple, score, choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from onnxprune.api.settings import Job
from onnxprune.coupling import Coupling, Structure, couple
from onnxprune.coupling.groups import Role
from onnxprune.coupling.partners import Granularity
from onnxprune.criteria import Criterion, known, rescorer, score_groups
from onnxprune.errors import InputError, OnnxPruneError, UsageError
from onnxprune.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.validate import check_finite
from onnxprune.plan import Plan, make_plan
from onnxprune.plan.selectors import select

Step = Callable[[str], None]
"""Told the name of each step as it begins."""

_REASONS_SHOWN = 3


@dataclass(frozen=True)
class Planned:
    """A plan and what it rests on.

    Attributes:
        coupling: of the source model.
        plan: which units stay.
        asked: groups that the user asked to leave alone.
        notes: what scoring wants the user to know.
    """

    coupling: Coupling
    plan: Plan
    asked: frozenset[str]
    notes: tuple[str, ...]


def open_model(model: Model, step: Step, granularity: Granularity = "inner") -> Coupling:
    """Couple a model whose weights can be ranked.

    Raises:
        InputError: weights that would be cut hold NaN or infinity.
    """
    step("coupling channels")
    coupling = couple(model, granularity=granularity)
    ranked = dict.fromkeys(
        s.constant for group in coupling.structure.groups for s in group.slices if s.role is not Role.OTHER
    )  # constants of other kinds, such as masks, may rightly be infinite
    check_finite(model.constants, ranked)
    return coupling


def plan_model(coupling: Coupling, job: Job, step: Step) -> Planned:
    """Score the groups of a model, and choose what stays.

    Raises:
        UsageError: settings that do not fit the model, or a criterion of the user's that fails.
        TargetError: a budget out of reach.
    """
    structure, constants = coupling.structure, coupling.model.constants
    step("scoring channels")
    seed, rescore = job.settings.seed, None
    with _own_criterion(job.criterion):
        scores = score_groups(structure, constants, job.criterion, seed=seed, across_groups=job.across_groups)
    if job.greedy:
        rescore = rescorer(structure, constants, job.criterion, seed=seed)
    step("planning")
    whole = structure.sizes.totals(np.ones(len(structure.groups)))
    overhead = coupling.model.nbytes - whole["bytes"]
    with _own_criterion(job.criterion):
        plan = make_plan(structure, scores, job.plan_options(overhead), rescore=rescore)
    return Planned(coupling, plan, _asked(structure, job), scores.notes)


def check_prunable(structure: Structure, model: Model) -> None:
    """Refuse a model of which nothing can be removed.

    Raises:
        InputError: with the most frequent reasons.
    """
    if not all(group.held for group in structure.groups):
        return
    where = "The model" if model.path is None else quoted(model.path)
    raise InputError(
        f"{where} has no layer that can be pruned{_reasons(structure)}.",
        hint="'onnxprune inspect' lists every layer with its reason; --ratio 0 only cleans up.",
    )


def _reasons(structure: Structure) -> str:
    """The most frequent reasons, for one sentence."""
    if not structure.layers:
        return ": it has no layer with weights that is known here"
    held = {group.name: group.held for group in structure.groups}
    why = Counter(
        layer.reason or next((held[name] for name in layer.groups), "") or "it must stay whole"
        for layer in structure.layers
    )
    shown = [f"{reason} ({number}x)" for reason, number in why.most_common(_REASONS_SHOWN)]
    return f" ({len(structure.layers)} layers): " + "; ".join(shown)


def _asked(structure: Structure, job: Job) -> frozenset[str]:
    """Groups that the user's own globs leave alone."""
    own = job.settings
    found = select(structure, include=own.include, exclude=own.exclude, layer_ratios=own.layer_ratios)
    held = {group.name for group in structure.groups if group.held}
    return frozenset((set(found.whole) - held) | {name for name, ratio in found.ratios.items() if not ratio})


@contextmanager
def _own_criterion(criterion: Criterion) -> Iterator[None]:
    """A failure in the user's own function is the user's to mend, and says so.

    Raises:
        UsageError: in place of whatever the function raised.
    """
    try:
        yield
    except OnnxPruneError:
        raise
    except Exception as exc:
        if criterion.name in known():
            raise
        raise UsageError(
            f"The criterion {criterion.name!r} failed: {type(exc).__name__}: {exc}.",
            hint="It is called as function(group, weights) and returns one number a unit of the group.",
        ) from exc
