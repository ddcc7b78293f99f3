"""From a model to a plan: couple, score, choose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxprune.api.job import Job
from onnxprune.calibration import Evidence, Samples
from onnxprune.calibration.evidence import GIVE_DATA, NO_DATA
from onnxprune.calibration.watched import WatchedSamples
from onnxprune.coupling import Coupling, Group, Structure, couple
from onnxprune.coupling.groups import Floats, Indices, Role
from onnxprune.coupling.partners import Granularity
from onnxprune.criteria import Criterion, Rescore, Scores, rescorer, score_groups
from onnxprune.criteria.registry import is_built_in
from onnxprune.criteria.weights import Mask
from onnxprune.errors import InputError, OnnxPruneError, UsageError
from onnxprune.model import Model
from onnxprune.model.naming import quoted
from onnxprune.model.validate import check_finite
from onnxprune.plan import Plan, Stage, plan_stages
from onnxprune.plan.latency import LatencyTarget
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
        scores: (units,) by group, those that the choice was made with.
        removed_by: group -> (units,) position of the criterion that removed the unit, -1 for none.
        last: position of the criterion that the scores of the units left come from.
        latency: what was measured for a target of that kind.
    """

    coupling: Coupling
    plan: Plan
    asked: frozenset[str]
    notes: tuple[str, ...]
    scores: Mapping[str, Floats] = field(default_factory=dict)
    removed_by: Mapping[str, Indices] = field(default_factory=dict)
    last: int = 0
    latency: Mapping[str, Any] = field(default_factory=dict)


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


def plan_model(
    coupling: Coupling,
    job: Job,
    step: Step,
    *,
    samples: Samples | None = None,
    evidence: Evidence | None = None,
) -> Planned:
    """Score the groups of a model, and choose what stays.

    Args:
        coupling: of the model.
        job: how to score and choose.
        step: told the name of each step.
        samples: what to measure the model on, for criteria that need it.
        evidence: what was measured already, so that it is not done again.

    Raises:
        UsageError: settings that do not fit the model, or a criterion of the user's that fails.
        TargetError: a budget out of reach.
    """
    structure, constants = coupling.structure, coupling.model.constants
    evidence = measure(coupling, job, step, samples=samples) if evidence is None else evidence
    step("scoring channels")
    rescore = None
    used: dict[str, Floats] = {}
    if job.greedy:
        seed = job.settings.seed
        rescore = noting(used, rescorer(structure, constants, job.criterion, seed=seed, evidence=evidence))
    whole = structure.sizes.totals(np.ones(len(structure.groups)))
    overhead = coupling.model.nbytes - whole["bytes"]
    own = [Stage(scoring(coupling, job, stage, evidence), _decides(stage, job)) for stage in job.criteria]
    options = job.plan_options(overhead)
    latency: Mapping[str, Any] = {}
    if isinstance(job.target, LatencyTarget):
        from onnxprune.api.latency import find_counts  # brings ONNX Runtime with it

        options, latency = find_counts(coupling, job, own, options, step)
    with own_criterion(job.criterion):
        found = plan_stages(structure, own, options, rescore=rescore)
    scores = {**found.scores, **used}
    asked = _asked(structure, job)
    return Planned(coupling, found.plan, asked, found.notes, scores, found.removed_by, found.last, latency)


def scoring(
    coupling: Coupling, job: Job, stage: Criterion, evidence: Evidence
) -> Callable[[Mapping[str, Mask]], Scores]:
    """How one criterion of a job scores the units that are left.

    Args:
        coupling: of the model.
        job: how to score.
        stage: one of its criteria.
        evidence: what was measured for it.
    """

    def score(alive: Mapping[str, Mask]) -> Scores:
        with own_criterion(stage):
            return score_groups(
                coupling.structure,
                coupling.model.constants,
                stage,
                seed=job.settings.seed,
                across_groups=job.across_groups,
                evidence=evidence,
                alive=alive,
                by_rule=job.by_rule,
            )

    return score


def _decides(stage: Criterion, job: Job) -> bool:
    """Whether a criterion says by itself how many units go; its own rule gives way to a target."""
    return stage.decides if job.by_rule else stage.bound is not None


def noting(used: dict[str, Floats], rescore: Rescore) -> Rescore:
    """Scoring that leaves the scores of every group where the report finds them."""

    def noted(group: Group, kept: Mapping[str, Indices]) -> Floats:
        used[group.name] = rescore(group, kept)
        return used[group.name]

    return noted


def measure(coupling: Coupling, job: Job, step: Step, *, samples: Samples | None) -> Evidence:
    """Gather what the criterion needs beside the weights, in one pass over the samples.

    Raises:
        UsageError: there are no samples, or not what the statistics need of them.
        InputError: the model does not run on the samples.
    """
    measuring = [stage for stage in job.criteria if stage.needs]
    wanted = frozenset().union(*(stage.needs for stage in measuring))
    if not measuring:
        return Evidence()
    if samples is None:
        raise UsageError(f"The criterion {measuring[0].name!r} {NO_DATA}", hint=GIVE_DATA)
    from onnxprune.reconstruction.evidence import gather  # brings ONNX Runtime with it

    own = job.settings
    step("measuring activations")
    advance = getattr(step, "advance", None)  # of a step that can show how far it is
    watched = samples if advance is None else WatchedSamples(samples, advance)
    return gather(coupling, watched, wanted, threads=own.threads, seed=own.seed, advance=advance)


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
def own_criterion(criterion: Criterion) -> Iterator[None]:
    """A failure in the user's own function is the user's to mend, and says so.

    Raises:
        UsageError: in place of whatever the function raised.
    """
    try:
        yield
    except OnnxPruneError:
        raise
    except Exception as exc:
        if is_built_in(criterion.name):
            raise
        raise UsageError(
            f"The criterion {criterion.name!r} failed: {type(exc).__name__}: {exc}.",
            hint="It is called as function(group, weights) and returns one number a unit of the group.",
        ) from exc
