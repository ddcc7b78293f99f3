"""Per-layer counts for a bound on the loss: curves of single layers, then a search that measures plans."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxprune.api.holding import Shares
from onnxprune.api.job import Job
from onnxprune.api.latency import progress_of
from onnxprune.api.planning import measure, plan_model
from onnxprune.api.repairing import mend
from onnxprune.api.scanning import choices_at, movable, shown_metric
from onnxprune.coupling import Coupling
from onnxprune.evaluation import METRICS, Evaluation, Evaluator, Metric, predictor
from onnxprune.evaluation.evaluate import BATCH
from onnxprune.model import Model
from onnxprune.plan import CountsTarget, admissible_counts
from onnxprune.plan.costs import compile_costs
from onnxprune.plan.drop import DropTarget
from onnxprune.sensitivity import RATIOS, HeldSamples, Row, Scan, open_cache
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
        account: for the report.
    """

    job: Job
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
        self._trials = 0
        self._evidence = measure(coupling, job, step, samples=shares.fitting)

    def run(self) -> Choice:
        own = self._job.settings
        rows, baseline = self._scanned()
        metric = METRICS[shown_metric(own.metric, baseline)]
        whole = baseline[metric.name]
        teacher = predictor(self._coupling.model, threads=own.threads)
        evaluator = Evaluator(self._samples, [metric.name], teacher=teacher, output=own.output_name)

        def loss(counts: Mapping[str, int]) -> float:
            """By how many points the model is worse with these counts."""
            model = self._pruned(counts)
            found = evaluator.evaluate(
                predictor(model, threads=own.threads), progress=progress_of(self._step)
            )
            return metric.drop(whole, found[metric.name])

        limit = TRIALS if self._job.repair == "none" else REPAIRED_TRIALS
        found = search(self._problem(rows, metric, whole), loss, self._bound, trials=limit)
        return Choice(self._counted(self._kept(found)), self._account(found, metric.name, len(rows)))

    def _scanned(self) -> tuple[tuple[Row, ...], Evaluation]:
        own = self._job.settings
        scan = Scan(
            self._coupling,
            choices_at(self._coupling, self._job, RATIOS, self._step, evidence=self._evidence),
            self._samples,
            open_cache(own.cache, self._coupling.model, self._samples.digest, own.output_name),
            also=() if own.metric is None else (own.metric,),
            output=own.output_name,
            threads=own.threads,
        )
        self._step("measuring layers")
        baseline, rows = scan.run(movable(self._coupling, own), progress=progress_of(self._step))
        return rows, baseline

    def _problem(self, rows: tuple[Row, ...], metric: Metric, whole: float) -> Problem:
        groups = self._coupling.structure.by_name()
        return Problem(
            names=tuple(groups),
            sizes=np.array([group.size for group in groups.values()]),
            choices={row.group: admissible_counts(groups[row.group], self._job.grid) for row in rows},
            curves={
                row.group: curve(row, lambda p: metric.drop(whole, p.figures[metric.name].value))
                for row in rows
            },
            costs=compile_costs(self._coupling.structure, "macs"),
            floor=FLOOR * max(self._bound, FLOOR),
        )

    def _pruned(self, counts: Mapping[str, int]) -> Model:
        """The model with these counts, as the run would leave it."""
        self._trials += 1
        self._step(f"trying a plan ({self._trials})")
        planned = plan_model(self._coupling, self._counted(counts), _silent, evidence=self._evidence)
        cut = apply(self._coupling, planned.plan.kept)
        cut = replace(cut, model=flush_denormals(cut.model)[0])
        mended = mend(
            self._coupling, cut, planned.plan.kept, self._job, _silent, samples=self._shares.fitting
        )
        return mended.cut.model

    def _counted(self, counts: Mapping[str, int]) -> Job:
        reason = "every count below all of them would cost more than the bound allows"
        return replace(self._job, target=CountsTarget(counts, reason))

    def _kept(self, found: Found) -> Mapping[str, int]:
        """The best counts; all units where nothing can go."""
        if found.best is not None:
            return found.best.counts
        return {group.name: group.size for group in self._coupling.structure.groups}

    def _account(self, found: Found, metric: str, layers: int) -> dict[str, Any]:
        best = found.best
        return {
            "metric": metric,
            "bound": self._bound,
            "data": f"{self._samples.description}; {self._samples.count} of them chosen by",
            "samples": self._samples.count,
            "predicted": 0.0 if best is None else best.predicted,
            "drop": 0.0 if best is None else best.loss,
            "trials": len(found.trials),
            "layers": layers,
        }


def _silent(step: str) -> None:
    """Progress that nobody watches."""
