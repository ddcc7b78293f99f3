"""A plan carried out: cut, compared with the masked source, repaired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import inf
from typing import Any

from onnxprune.api.job import Job
from onnxprune.api.planning import Planned, Step
from onnxprune.api.repairing import mend
from onnxprune.calibration import Samples
from onnxprune.errors import VerificationError
from onnxprune.model import Model
from onnxprune.surgery import Cut, apply, flush_denormals


@dataclass(frozen=True)
class Outcome:
    """What surgery and repair left, before it is written.

    Attributes:
        planned: what was carried out.
        cut: with the model as it is now.
        stages: the model after the cut, after the repair and after training, by the names that the report
            gives them; of several steps the last.
        repair: what was done to make up for what went, ``none`` for nothing.
        flushed: constants whose denormal values were set to zero.
        cleaned: only what the outputs do not depend on was removed.
        account: the report's section about the repair.
        notes: what the user should know about it.
        verification: by method, as the report states it; of several steps the one that came closest to its
            tolerance.
        steps: what each of several steps did, for the report.
        training: how each training went, for the report.
    """

    planned: Planned
    cut: Cut
    stages: Mapping[str, Model]
    repair: str = "none"
    flushed: tuple[str, ...] = ()
    cleaned: bool = False
    account: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    verification: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    steps: tuple[Mapping[str, Any], ...] = ()
    training: tuple[Mapping[str, Any], ...] = ()

    @property
    def wrong(self) -> bool:
        """Whether verification found that the cut does not compute what it should."""
        return any(found["max_relative_error"] > found["tolerance"] for found in self.verification.values())


def carry_out(planned: Planned, job: Job, step: Step, *, samples: Samples | None = None) -> Outcome:
    """Cut as planned, compare with the masked source, and repair what is right.

    Args:
        planned: of the model.
        job: whether to verify, and how to repair.
        step: told the name of each step.
        samples: to fit the repair to.

    Raises:
        InputError: the model does not run on the samples.
        UsageError: the repair needs samples, and there are none.
    """
    step("cutting")
    outcome = _cut(planned, job)
    if job.settings.verify:
        step("verifying")
        outcome = replace(outcome, verification={"masked_equivalence": _verified(outcome, job)})
    return outcome if outcome.wrong else _mended(outcome, job, step, samples)


def _cut(planned: Planned, job: Job) -> Outcome:
    if job.only_cleans:
        from onnxprune.repair import clean_up

    coupling, kept = planned.coupling, planned.plan.kept
    cleaning = job.only_cleans and not kept and not planned.asked
    cut = clean_up(coupling) if cleaning else apply(coupling, kept)
    model, flushed = flush_denormals(cut.model)
    method = "merge" if cleaning else "none"
    return Outcome(planned, replace(cut, model=model), {"after_cut": model}, method, tuple(flushed), cleaning)


def _mended(outcome: Outcome, job: Job, step: Step, samples: Samples | None) -> Outcome:
    """The repaired outcome; a clean-up loses nothing that could be repaired."""
    if outcome.cleaned:
        return outcome
    planned = outcome.planned
    found = mend(planned.coupling, outcome.cut, planned.plan.kept, job, step, samples=samples)
    stages = outcome.stages if found.method == "none" else {**outcome.stages, "after_repair": found.cut.model}
    return replace(
        outcome, cut=found.cut, stages=stages, repair=found.method, account=found.account, notes=found.notes
    )


def _verified(outcome: Outcome, job: Job) -> dict[str, Any]:
    """The comparison, as the report states it; a clean-up has to equal the source itself."""
    from onnxprune.verification import Verification, masked_equivalence  # brings ONNX Runtime with it

    coupling, cut = outcome.planned.coupling, outcome.cut
    if outcome.cleaned:
        cut = replace(cut, cuts={}, survivors=coupling.survivors({}))
    own = job.settings
    try:
        found = masked_equivalence(coupling.model, cut, coupling, seed=own.seed, threads=own.threads)
    except VerificationError as exc:
        found = Verification(True, inf, 0.0, 0, False, exc.message)
    return asdict(found)
