"""Per-layer counts for a bound on the loss: curves of single layers, then a search that measures plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.api.accuracy import usual_with
from onnxprune.api.holding import Shares
from onnxprune.api.latency import progress_of
from onnxprune.api.planning import measure, plan_model
from onnxprune.api.repairing import mend
from onnxprune.api.scanning import choices_at, movable, shown_metric
from onnxprune.api.settings import Job
from onnxprune.coupling import Coupling
from onnxprune.evaluation import METRICS, Evaluator, predictor
from onnxprune.evaluation.evaluate import BATCH
from onnxprune.model import Model
from onnxprune.plan import CountsTarget, admissible_counts
from onnxprune.plan.costs import compile_costs
from onnxprune.plan.drop import DropTarget
from onnxprune.sensitivity import RATIOS, Cache, HeldSamples, Row, Scan, digest_of
from onnxprune.sensitivity.curves import curve
from onnxprune.sensitivity.search import Found, Problem, search
from onnxprune.surgery import apply, flush_denormals

Step = Callable[[str], None]

TRIALS, REPAIRED_TRIALS = 60, 12
"""Plans that are measured at most; fewer where each is repaired first, which takes its time."""

FLOOR = 0.05
"""Share of the bound that every step is predicted to cost at least."""


@dataclass(frozen=True)
class Choice:
    """What a search has chosen.

    Attributes:
        job: the same with the counts as its target.
        metric: whose loss is bounded.
        account: for the report.
    """

    job: Job
    metric: str
    account: Mapping[str, Any]


def choose_counts(coupling: Coupling, job: Job, shares: Shares, step: Step) -> Choice:
    """The counts that remove the most while the metric falls by no more than the bound.

    Args:
        coupling: of the model.
        job: whose target is a bound on the loss.
        shares: samples; the choosing ones decide.
        step: told the name of each step.

    Raises:
        InputError: the model does not run on the samples.
        UsageError: something is missing that the metric needs.
    """
    return _Choosing(coupling, job, shares, step).run()


class _Choosing:
    def __init__(self, coupling: Coupling, job: Job, shares: Shares, step: Step) -> None:
        target = job.target
        assert isinstance(target, DropTarget)
        assert shares.choosing is not None
        self._coupling, self._job, self._shares, self._step = coupling, job, shares, step
        self._bound = target.points
        self._samples = HeldSamples(shares.choosing, BATCH)
        self._evidence = measure(coupling, job, step, samples=shares.fitting)

    def run(self) -> Choice:
        own, teacher = self._job.settings, predictor(self._coupling.model, threads=self._job.settings.threads)
        rows, baseline = self._scanned()
        metric = shown_metric(own.metric, baseline)
        asked = [metric]
        evaluator = Evaluator(self._samples, asked, teacher=teacher, output=own.output_name)

        def loss(counts: Mapping[str, int]) -> float:
            self._step(f"trying a plan ({len(tried) + 1})")
            tried.append(counts)
            model = self._pruned(counts)
            run = predictor(model, threads=own.threads)
            found = evaluator.evaluate(run, progress=progress_of(self._step))
            return METRICS[metric].drop(baseline[metric], found[metric])

        tried: list[Mapping[str, int]] = []
        limit = TRIALS if self._job.repair == "none" else REPAIRED_TRIALS
        found = search(self._problem(rows, metric, baseline[metric]), loss, self._bound, trials=limit)
        return Choice(self._counted(self._kept(found)), metric, self._account(found, metric, rows))

    def _scanned(self) -> tuple[tuple[Row, ...], Any]:
        own = self._job.settings
        scan = Scan(
            self._coupling,
            choices_at(self._coupling, self._job, RATIOS, self._step, evidence=self._evidence),
            self._samples,
            Cache(
                None if own.cache is None else Path(own.cache),
                {
                    "model": digest_of(self._coupling.model),
                    "samples": self._samples.digest,
                    "output": own.output_name,
                },
            ),
            metrics=None if own.metric is None else usual_with(own.metric, self._samples),
            output=own.output_name,
            threads=own.threads,
        )
        self._step("measuring layers")
        baseline, rows = scan.run(movable(self._coupling, own), progress=progress_of(self._step))
        return rows, baseline

    def _problem(self, rows: tuple[Row, ...], metric: str, whole: float) -> Problem:
        groups = self._coupling.structure.by_name()
        return Problem(
            names=tuple(groups),
            sizes=np.array([group.size for group in groups.values()]),
            choices={row.group: admissible_counts(groups[row.group], self._job.grid) for row in rows},
            curves={
                row.group: curve(row, lambda p: METRICS[metric].drop(whole, p.figures[metric].value))
                for row in rows
            },
            costs=compile_costs(self._coupling.structure, "macs"),
            floor=FLOOR * max(self._bound, FLOOR),
        )

    def _pruned(self, counts: Mapping[str, int]) -> Model:
        """The model with these counts, as the run would leave it."""
        planned = plan_model(self._coupling, self._counted(counts), _silent, evidence=self._evidence)
        cut = apply(self._coupling, planned.plan.kept)
        cut = replace(cut, model=flush_denormals(cut.model)[0])
        job = self._job
        return mend(
            self._coupling, cut, planned.plan.kept, job, _silent, samples=self._shares.fitting
        ).cut.model

    def _counted(self, counts: Mapping[str, int]) -> Job:
        reason = "every count below all of them would cost more than the bound allows"
        return replace(self._job, target=CountsTarget(counts, reason))

    def _kept(self, found: Found) -> Mapping[str, int]:
        """The best counts; all units where nothing can go."""
        if found.best is not None:
            return found.best.counts
        return {group.name: group.size for group in self._coupling.structure.groups}

    def _account(self, found: Found, metric: str, rows: tuple[Row, ...]) -> dict[str, Any]:
        best = found.best
        return {
            "metric": metric,
            "bound": self._bound,
            "data": f"{self._samples.description}; {self._samples.count} of them chosen by",
            "samples": self._samples.count,
            "predicted": 0.0 if best is None else best.predicted,
            "drop": 0.0 if best is None else best.loss,
            "trials": len(found.trials),
            "layers": len(rows),
        }


def _silent(step: str) -> None:
    """Progress that nobody watches."""
