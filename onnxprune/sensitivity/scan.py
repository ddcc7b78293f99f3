"""The scan: each group alone at each ratio, measured on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Group, Indices
from onnxprune.evaluation import Evaluation, Evaluator, Predict, predictor
from onnxprune.evaluation.evaluate import BATCH
from onnxprune.execution import Refusal
from onnxprune.plan.costs import compile_costs
from onnxprune.sensitivity.cache import Cache
from onnxprune.sensitivity.document import How, Point, Row
from onnxprune.sensitivity.held import HeldSamples
from onnxprune.sensitivity.masked import MaskedRuns, Unmaskable
from onnxprune.surgery import apply
from onnxprune.verification.compare import compare
from onnxprune.verification.verification import tolerance_of

RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of its units that each group loses."""

CHECKED = 4
"""Samples on which masks are compared with surgery before a group is measured by them."""

SLACK = 10
"""How many times the tolerance of the final check masks and surgery may differ."""

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What is scanned, and with what.

    Attributes:
        coupling: of the model.
        choices: ratio -> group -> kept units, ascending; a group that is not named keeps all.
        samples: to measure on.
        cache: where figures are looked for and kept.
        also: metrics beside those that the samples allow with the whole model as the teacher.
        output: name of the output with the scores of the classes.
        threads: of ONNX Runtime.
    """

    coupling: Coupling
    choices: Mapping[float, Mapping[str, Indices]]
    samples: HeldSamples
    cache: Cache
    also: tuple[str, ...] = ()
    output: str | None = None
    threads: int | None = None

    def run(
        self, groups: Sequence[Group], *, progress: Progress | None = None
    ) -> tuple[Evaluation, tuple[Row, ...]]:
        """The whole model, and a row for each group.

        What was measured is saved behind each group, so that an interrupt loses one group at most.

        Args:
            groups: to prune, each alone.
            progress: told how far the scan is.

        Raises:
            InputError: the model does not run on the samples.
            UsageError: something is missing that a metric needs.
        """
        teacher = predictor(self.coupling.model, threads=self.threads)
        evaluator = Evaluator(self.samples, also=self.also, teacher=teacher, output=self.output)
        baseline = evaluator.evaluate(teacher)
        missing = {group.name: self._missing(group, baseline) for group in groups}
        busy = [group for group in groups if missing[group.name]]
        for place, group in enumerate(busy):
            self._measure(group, missing[group.name], evaluator, _share(progress, place, len(busy)))
        return baseline, tuple(self._row(group, baseline) for group in groups)

    def _kept(self, group: Group, ratio: float) -> Indices:
        return self.choices[ratio].get(group.name, np.arange(group.size))

    def _missing(self, group: Group, baseline: Evaluation) -> list[Indices]:
        """Choices that are still to be measured, each once; one that removes nothing needs no measuring."""
        found: dict[bytes, Indices] = {}
        for ratio in self.choices:
            kept = self._kept(group, ratio)
            known = self.cache.get(group.name, kept)
            if len(kept) < group.size and (known is None or not baseline.figures.keys() <= known.keys()):
                found[kept.tobytes()] = kept
        return list(found.values())

    def _measure(
        self, group: Group, choices: list[Indices], evaluator: Evaluator, progress: Progress | None
    ) -> None:
        predicts, how, note = self._predicts(group, choices)
        measured = evaluator.evaluate_all(predicts, progress=progress)
        for kept, evaluation in zip(choices, measured, strict=True):
            self.cache.put(group.name, kept, evaluation.figures, how=how, note=note)
        self.cache.save()

    def _predicts(self, group: Group, choices: list[Indices]) -> tuple[list[Predict], How, str]:
        """What runs the choices: masks where they are right, surgery otherwise."""
        hardest = min(choices, key=len)
        try:
            runs = MaskedRuns(self.coupling, group, threads=self.threads)
            self._check(runs.keeping(hardest), self._pruned(group, hardest))
        except Unmaskable as exc:
            return [self._pruned(group, kept) for kept in choices], "pruned", str(exc)
        return [runs.keeping(kept) for kept in choices], "masked", ""

    def _check(self, masked: Predict, pruned: Predict) -> None:
        """Compare both ways on a few samples.

        Raises:
            Unmaskable: they differ by more than rounding.
        """
        batch = next(iter(self.samples.batches(BATCH)))
        feed = {name: values[:CHECKED] for name, values in batch.feed.items()}
        try:
            found = compare(pruned(feed), masked(feed))
        except Refusal as exc:
            raise Unmaskable(str(exc)) from exc
        if not found.error <= SLACK * tolerance_of(self.coupling.model):
            raise Unmaskable("masks and surgery give different outputs")

    def _pruned(self, group: Group, kept: Indices) -> Predict:
        return predictor(apply(self.coupling, {group.name: kept}).model, threads=self.threads)

    def _row(self, group: Group, baseline: Evaluation) -> Row:
        points, how, note = [], "", ""
        for ratio in self.choices:
            kept = self._kept(group, ratio)
            figures = self.cache.get(group.name, kept) or baseline.figures
            how, note = self.cache.how(group.name, kept)
            points.append(Point(ratio, len(kept), self._macs_left(group, len(kept)), figures))
        weights = {layer.name: layer.weight for layer in self.coupling.structure.layers}
        return Row(
            group=group.name,
            layers=group.layers,
            weight=weights.get(group.layers[0], "") if group.layers else "",
            channels=group.size,
            macs=1.0 - self._macs_left(group, 0),
            points=tuple(points),
            how="pruned" if how == "pruned" else "masked",
            note=note,
        )

    def _macs_left(self, group: Group, kept: int) -> float:
        """Share of the multiply-accumulates that stays when the group alone is cut."""
        structure = self.coupling.structure
        costs = compile_costs(structure, "macs")
        shares = np.ones(len(structure.groups))
        whole = costs.total(shares)
        shares[[own.name for own in structure.groups].index(group.name)] = kept / group.size
        return costs.total(shares) / whole if whole else 1.0


def _share(progress: Progress | None, place: int, groups: int) -> Progress | None:
    """Progress of one group as that of the scan."""
    if progress is None:
        return None
    return lambda done, total: progress(place * total + done, groups * total)
