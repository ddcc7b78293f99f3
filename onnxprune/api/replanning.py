"""The plan of one step among several: given counts, and scores of the model as it is by then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnxprune.api.job import Job
from onnxprune.api.lens import Lens
from onnxprune.api.planning import Planned, Step, measure, own_criterion, scoring
from onnxprune.calibration import Evidence, Samples
from onnxprune.coupling import Coupling
from onnxprune.criteria import rescorer
from onnxprune.plan import CountsTarget, Stage, plan_stages


def counting(job: Job) -> Job:
    """A job whose criteria rank units, while given counts, which have heeded the globs, say how many go."""
    own = replace(job.settings, include=(), exclude=(), layer_ratios=(), align="off")
    plain = [replace(stage, threshold=None, bound=None, rule=None) for stage in job.criteria]
    return replace(
        job,
        settings=own,
        target=CountsTarget(),
        grid=1,
        criterion=plain[0],
        then=tuple(plain[1:]),
    )


def evidence_for(coupling: Coupling, job: Job, step: Step, samples: Samples | None) -> Evidence:
    """What the criteria of a job need of a model, measured in one pass over the samples."""
    return measure(coupling, counting(job), step, samples=samples)


def replan(
    planned: Planned,
    current: Coupling,
    lens: Lens,
    counts: Mapping[str, int],
    job: Job,
    evidence: Evidence,
) -> Planned:
    """Choose units of the source by what the cut model says of them.

    Args:
        planned: for the source, whole run.
        current: coupling of the cut model.
        lens: its units in the source.
        counts: group of the source -> units that stay.
        job: of the run.
        evidence: measured on the cut model.

    Returns:
        The plan in groups of the source; ``lens.kept`` turns it into one of the cut model.

    Raises:
        UsageError: a criterion of the user's that fails.
    """
    own = replace(counting(job), target=CountsTarget(counts))
    stages = [lens.stage(Stage(scoring(current, own, stage, evidence))) for stage in own.criteria]
    rescore = None
    if own.greedy:
        again = rescorer(
            current.structure,
            current.model.constants,
            own.criterion,
            seed=own.settings.seed,
            evidence=evidence,
        )
        rescore = lens.rescore(again)
    with own_criterion(own.criterion):
        found = plan_stages(planned.coupling.structure, stages, own.plan_options(0.0), rescore=rescore)
    plan = replace(planned.plan, kept=found.plan.kept, totals=found.plan.totals)
    return replace(planned, plan=plan, scores=found.scores, removed_by=found.removed_by, last=found.last)
