"""A plan carried out in one step or in several: cut, repair, train, and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from onnxprune.api.accuracy import stages_on
from onnxprune.api.holding import Shares
from onnxprune.api.job import Job
from onnxprune.api.lens import open_lens
from onnxprune.api.lineage import Lineage, cut_further, descend
from onnxprune.api.outcomes import Outcome, carry_out
from onnxprune.api.planning import Planned, Step
from onnxprune.api.retraining import Trainer, Watched
from onnxprune.api.run_store import Store
from onnxprune.api.standing import Standing, closest, merged, standing_of
from onnxprune.api.step_plan import StepPlan, plan_step
from onnxprune.api.training_settings import trains
from onnxprune.model import Model
from onnxprune.plan.schedule import Counts, schedule_counts
from onnxprune.report import measure
from onnxprune.surgery import Cut


class Walk:
    """The steps of one run.

    Args:
        planned: for the whole run, in terms of the source.
        job: of the run.
        shares: samples by what they are for.
        step: told the name of each step.
        trainer: trains behind every step; None for no training.
        store: where standings are kept.
    """

    def __init__(
        self, planned: Planned, job: Job, shares: Shares, step: Step, trainer: Trainer | None, store: Store
    ) -> None:
        own = job.settings
        self._planned, self._job, self._shares, self._step = planned, job, shares, step
        self._trains = trains(own)
        self._trainer = trainer if self._trains else None
        self._store = store
        groups = planned.coupling.structure.groups
        kept = planned.plan.kept
        self._final = {group.name: len(kept.get(group.name, range(group.size))) for group in groups}
        self._counts = schedule_counts(planned.coupling.structure, self._final, own.steps, own.step_schedule)

    def run(self, start: Model) -> Outcome:
        """Take all steps.

        Args:
            start: the source, or the same with other weights: then units are scored anew by these.

        Raises:
            InputError: the model does not run on the samples.
            UsageError: something is missing that a step needs.
            VerificationError: the steps are not one cut of the source.
        """
        if not self._planned.plan.kept:
            return self._whole()
        standing = Standing(start)
        for place, counts in enumerate(self._counts[:-1]):
            known = self._store.load(self._name(place))
            if known is not None:
                standing = standing_of(*known)
                continue
            outcome, standing = self._one(place, counts, standing)
            if outcome.wrong:
                return outcome
            standing = replace(
                standing, model=self._store.save(self._name(place), standing.model, standing.to_dict())
            )
        return self._one(len(self._counts) - 1, self._final, standing)[0]

    def _whole(self) -> Outcome:
        """Nothing goes that training could make up for."""
        outcome = carry_out(self._planned, self._job, self._step, samples=self._shares.fitting)
        if not self._trains:
            return outcome
        note = "no channel was removed that training could make up for, so nothing was trained"
        return replace(outcome, notes=(*outcome.notes, note))

    def _name(self, place: int) -> str:
        return f"step{place + 1}"

    def _one(self, place: int, counts: Counts, before: Standing) -> tuple[Outcome, Standing]:
        """One step: the outcome of the whole run so far, and where it leaves it."""
        several = len(self._counts) > 1
        step = Watched(self._step, f"step {place + 1} of {len(self._counts)}: " if several else "")
        lineage = descend(self._planned.coupling, before.kept)
        plan = self._plan(place, counts, before, lineage, step)
        planned = plan.planned
        own = replace(planned, coupling=plan.current, plan=replace(planned.plan, kept=plan.kept))
        outcome = carry_out(own, self._job, step, samples=self._shares.fitting)
        if outcome.wrong:
            return self._told(outcome, planned, before), before
        after = cut_further(lineage, plan.lens.done(plan.kept), outcome.cut)
        last = place == len(self._counts) - 1
        model, trained = self._trained(outcome.cut.model, place, step, last=last)
        stages = outcome.stages if trained is None else {**outcome.stages, "after_training": model}
        row = self._row(place, outcome, after, stages, step, last=last) if several else None
        standing = replace(
            before,
            model=model,
            kept=after.kept,
            removed_by=merged(before, planned.removed_by, after.kept),
            verification=closest(before.verification, outcome.verification),
            steps=(*before.steps, *([row] if row else [])),
            training=(*before.training, *([trained] if trained else [])),
            notes=tuple(dict.fromkeys((*before.notes, *outcome.notes))),
            warnings=tuple(dict.fromkeys((*before.warnings, *outcome.cut.warnings))),
            flushed=tuple(dict.fromkeys((*before.flushed, *outcome.flushed))),
            at_once=plan.at_once,
        )
        cut = Cut(model, after.cuts, after.survivors, standing.warnings)
        done = replace(outcome, cut=cut, stages=stages)
        return self._told(done, planned, standing), standing

    def _plan(self, place: int, counts: Counts, before: Standing, lineage: Lineage, step: Step) -> StepPlan:
        """What a step removes; the only one on the source itself does as planned."""
        source = self._planned.coupling
        if len(self._counts) == 1 and before.model is source.model:
            return StepPlan(source, open_lens(lineage, source), self._planned, self._planned.plan.kept)
        return plan_step(
            self._planned,
            lineage,
            before.model,
            (self._final if place == len(self._counts) - 1 else counts, self._final),
            self._job,
            step,
            at_once=before.at_once,
            samples=self._shares.fitting,
        )

    def _trained(
        self, model: Model, place: int, step: Step, *, last: bool
    ) -> tuple[Model, Mapping[str, Any] | None]:
        if self._trainer is None:
            return model, None
        name = f"training{place + 1}" if len(self._counts) > 1 else "training"
        return self._trainer(model, name, step, settings=self._trainer.behind(last))

    def _row(
        self,
        place: int,
        outcome: Outcome,
        after: Lineage,
        stages: Mapping[str, Model],
        step: Step,
        *,
        last: bool,
    ) -> dict[str, Any]:
        """What a step did, for the report."""
        source = after.source
        found: dict[str, Any] = {
            "step": place + 1,
            "macs": list(measure.macs(source, after.survivors)),
            "params": measure.parameters(outcome.cut.model.constants),
            "filters": sum(left for _, left in measure.channels(source, after.survivors)),
            "verification": dict(outcome.verification.get("masked_equivalence", {})),
            "repair": outcome.repair,
        }
        if self._shares.held is not None and not last:  # the last one's figures are those of the result
            step("measuring accuracy")
            found["accuracy"] = stages_on(self._shares.held, source.model, stages, self._job)
        return found

    def _told(self, outcome: Outcome, planned: Planned, standing: Standing) -> Outcome:
        """An outcome in terms of the source."""
        later = "it cannot be cut a second time, as the graph is harder to follow by then"
        notes = tuple(f"{name} was cut to the end at once: {later}" for name in standing.at_once)
        return replace(
            outcome,
            planned=replace(
                planned,
                coupling=self._planned.coupling,
                plan=replace(planned.plan, kept=standing.kept or planned.plan.kept),
                removed_by=standing.removed_by or planned.removed_by,
            ),
            flushed=standing.flushed or outcome.flushed,
            notes=(*standing.notes, *notes),
            verification=standing.verification or outcome.verification,
            steps=standing.steps,
            training=standing.training,
        )
