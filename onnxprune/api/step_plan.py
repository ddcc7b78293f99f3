"""What one step among several removes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxprune.api.job import Job
from onnxprune.api.lens import Lens, open_lens
from onnxprune.api.lineage import Lineage, cut_further
from onnxprune.api.planning import Planned, Step
from onnxprune.api.replanning import evidence_for, replan
from onnxprune.calibration import Samples
from onnxprune.coupling import Coupling, couple
from onnxprune.coupling.groups import Indices
from onnxprune.model import Model
from onnxprune.plan.schedule import Counts
from onnxprune.surgery import apply


@dataclass(frozen=True, eq=False)
class StepPlan:
    """What a step removes.

    Attributes:
        current: coupling of the model that is cut.
        lens: its units in the source.
        planned: the plan in units of the source.
        kept: the same in the model's own units.
        at_once: groups of the source that it, or a step before, cuts to the end before their turn.
    """

    current: Coupling
    lens: Lens
    planned: Planned
    kept: Mapping[str, Indices]
    at_once: tuple[str, ...] = ()


def plan_step(
    planned: Planned,
    lineage: Lineage,
    model: Model,
    counts: tuple[Counts, Counts],
    job: Job,
    step: Step,
    *,
    at_once: tuple[str, ...],
    samples: Samples | None,
) -> StepPlan:
    """Choose what a step removes by what the model says as it is.

    A graph may be harder to follow once it is cut. A group that no later step could cut any more is cut to
    the end by the last one that can.

    Args:
        planned: for the whole run, in units of the source.
        lineage: of the model.
        model: as the step finds it.
        counts: units by group of the source that are to be left, behind this step and at the end; the same
            for the last step.
        job: of the run.
        step: told the name of each step.
        at_once: groups that have been cut to the end.
        samples: to measure the model on.

    Raises:
        InputError: the model does not run on the samples.
        UsageError: a criterion of the user's that fails.
    """
    now, final = counts
    current = couple(model, granularity=job.settings.factor)
    lens = open_lens(lineage, current)
    evidence = evidence_for(current, job, step, samples)
    step("scoring channels")
    done = list(at_once)
    while True:
        wanted = {**now, **{name: final[name] for name in done}}
        found = replan(planned, current, lens, wanted, job, evidence)
        kept = lens.kept(found.plan.kept)
        lost = () if now == final else _lost(lineage, current, lens, kept, final, job)
        more = [name for name in lost if name not in done]
        if not more:
            return StepPlan(current, lens, found, kept, tuple(done))
        done += more


def _lost(
    lineage: Lineage, current: Coupling, lens: Lens, kept: Mapping[str, Indices], final: Counts, job: Job
) -> tuple[str, ...]:
    """Groups that could not be cut to the end after this cut."""
    cut = apply(current, kept)
    after = cut_further(lineage, lens.done(kept), cut)
    return open_lens(after, couple(cut.model, granularity=job.settings.factor)).lost(final)
