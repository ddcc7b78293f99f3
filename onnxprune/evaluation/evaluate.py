"""The measurement itself: one pass over the samples, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprune.calibration import Batch, Samples
from onnxprune.errors import UsageError
from onnxprune.evaluation.figure import Figure
from onnxprune.evaluation.metrics import Meter, Metric, check_needs, default_metrics, find_metrics
from onnxprune.evaluation.observation import Observation, observe
from onnxprune.evaluation.predict import Predict, predictor
from onnxprune.model.constants import Array
from onnxprune.model.model import Model

BATCH = 32
"""Samples that are run at a time."""

KEPT_BYTES = 256 << 20
"""Outputs of the teacher are kept up to this many bytes; beyond, it runs again for every model."""

Progress = Callable[[int, int], None]
"""Told how many samples are done, and of how many."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured of one model.

    Attributes:
        figures: metric name -> value with its confidence interval, in the order asked for.
        samples: how many there were.
        data: which samples, for the report.
    """

    figures: Mapping[str, Figure]
    samples: int
    data: str

    def __getitem__(self, name: str) -> float:
        """The value of a metric."""
        return self.figures[name].value

    def to_dict(self) -> dict[str, Any]:
        """As the reports have it; figures without bounds become null there."""
        return {
            "samples": self.samples,
            "data": self.data,
            "metrics": {name: figure.to_dict() for name, figure in self.figures.items()},
        }


class Evaluator:
    """Measures models on the same samples, beside the same teacher.

    Args:
        samples: to run on.
        metrics: names; None for all that the samples and the teacher allow, but ``top5``.
        also: names of others beside these.
        teacher: what to compare with.
        output: name of the output with the scores of the classes, None for the first that can be one.
        batch: samples that are run at a time.

    Raises:
        UsageError: unknown metrics, or such as need labels or a teacher where there are none.
    """

    def __init__(
        self,
        samples: Samples,
        metrics: Sequence[str] | None = None,
        *,
        also: Sequence[str] = (),
        teacher: Predict | None = None,
        output: str | None = None,
        batch: int = BATCH,
    ) -> None:
        if not samples.count:
            raise UsageError("There are no samples to measure on.", hint="Check --data and --samples.")
        there = {"labelled": samples.labelled, "teacher": teacher is not None}
        self._asked = None if metrics is None else find_metrics(metrics)
        self._also = find_metrics(also)
        check_needs((*(self._asked or ()), *self._also), **there)
        if not default_metrics(**there, classes=False) and not default_metrics(**there):
            raise UsageError(
                "Without labels and without a teacher nothing can be measured.",
                hint="Give data with labels, or the model to compare with (--teacher).",
            )
        self._there = there
        self._samples = samples
        self._teacher = None if teacher is None else _Recorded(teacher)
        self._output = output
        self._batch = batch

    def evaluate(self, predict: Predict, *, progress: Progress | None = None) -> Evaluation:
        """Measure one model.

        Args:
            predict: runs it on a batch.
            progress: told after every batch how far it is.

        Raises:
            InputError: labels or teacher do not fit the model's outputs.
            UsageError: the model has no output that the metrics are about.
        """
        return self.evaluate_all([predict], progress=progress)[0]

    def evaluate_all(
        self, predicts: Sequence[Predict], *, progress: Progress | None = None
    ) -> list[Evaluation]:
        """Measure several models at once: each batch goes through all of them before the next is read.

        Args:
            predicts: run them on a batch; all are given the same object, so what they share can be kept.
            progress: told after every batch how far it is.

        Raises:
            InputError: labels or teacher do not fit the outputs of a model.
            UsageError: a model has no output that the metrics are about.
        """
        meters: list[dict[str, Meter]] = [{} for _ in predicts]
        done = 0
        for index, batch in enumerate(self._samples.batches(self._batch)):
            for own, predict in zip(meters, predicts, strict=True):
                self._add(own, predict, index, batch)
            done += len(batch)
            if progress is not None:
                progress(done, self._samples.count)
        return [
            Evaluation(
                {name: meter.figure() for name, meter in own.items()},
                self._samples.count,
                self._samples.description,
            )
            for own in meters
        ]

    def _add(self, meters: dict[str, Meter], predict: Predict, index: int, batch: Batch) -> None:
        """Take a batch into the meters of a model, which are made with the first one."""
        teacher = None if self._teacher is None else self._taught(index, batch.feed)
        outputs = self._answers(predict, index, batch.feed)
        seen = observe(outputs, self._output, labels=batch.labels, teacher=teacher)
        if not meters:
            meters.update((metric.name, metric.meter()) for metric in self._chosen(seen))
        for meter in meters.values():
            meter.add(seen)

    def _answers(self, predict: Predict, index: int, feed: Mapping[str, Array]) -> Mapping[str, Any]:
        """What the model says; the teacher, measured itself, does not run a second time."""
        if self._teacher is not None and predict is self._teacher.predict:
            return self._teacher(index, feed)
        return predict(feed)

    def _taught(self, index: int, feed: Mapping[str, Array]) -> Observation:
        """What the teacher says; its own output is looked for where it has none of the name."""
        outputs = self._teacher(index, feed) if self._teacher else {}
        return observe(outputs, self._output if self._output in outputs else None)

    def _chosen(self, seen: Observation) -> tuple[Metric, ...]:
        classes = seen.classes is not None
        usual = default_metrics(**self._there, classes=classes) if self._asked is None else self._asked
        chosen = tuple(dict.fromkeys((*usual, *self._also)))
        if not chosen:
            raise UsageError(
                "The model has no output with scores of classes, so labels measure nothing.",
                hint="Name the model to compare its outputs with (--teacher).",
            )
        lost = [metric.name for metric in chosen if metric.classes and not classes]
        if lost:
            raise UsageError(
                f"The model has no output with scores of classes, which {lost[0]!r} is about.",
                hint="Such an output has one row a sample and one column a class. Or ask for sqnr.",
            )
        return chosen


class _Recorded:
    """A teacher whose answers are kept, as long as they are small."""

    def __init__(self, predict: Predict) -> None:
        self.predict = predict
        self._known: dict[int, Mapping[str, Any]] = {}
        self._bytes = 0

    def __call__(self, index: int, feed: Mapping[str, Array]) -> Mapping[str, Any]:
        """The outputs on the batch of an index."""
        if index not in self._known:
            outputs = self.predict(feed)
            self._bytes += sum(getattr(value, "nbytes", 0) for value in outputs.values())
            if self._bytes > KEPT_BYTES:
                return outputs
            self._known[index] = outputs
        return self._known[index]


def evaluate(
    model: Model,
    samples: Samples,
    metrics: Sequence[str] | None = None,
    *,
    teacher: Model | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on samples.

    Args:
        model: to measure.
        samples: to run it on.
        metrics: names, keys of ``METRICS``; None for all that samples and teacher allow, but ``top5``.
        teacher: model to compare with, usually the one before pruning.
        threads: of ONNX Runtime; None leaves the choice to it.
        progress: told after every batch how many samples are done, and of how many.

    Raises:
        InputError: ONNX Runtime does not run the model on the samples, or labels do not fit it.
        UsageError: unknown metrics, or such as need labels or a teacher where there are none.
    """
    beside = None if teacher is None else predictor(teacher, threads=threads)
    evaluator = Evaluator(samples, metrics, teacher=beside)
    return evaluator.evaluate(predictor(model, threads=threads), progress=progress)
