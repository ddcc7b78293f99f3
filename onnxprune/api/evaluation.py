"""How models do on data, one alone or several side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprune.api.arguments import Data
from onnxprune.api.planning import Step
from onnxprune.api.sources import Source, open_source
from onnxprune.calibration import notes_of, open_samples
from onnxprune.calibration.preprocess import Given
from onnxprune.errors import UsageError
from onnxprune.evaluation import Evaluation, Evaluator, find_metrics, predictor
from onnxprune.evaluation.evaluate import Progress
from onnxprune.evaluation.metrics import check_needs
from onnxprune.model import Model
from onnxprune.report import measure


@dataclass(frozen=True)
class Measured:
    """A model of a comparison.

    Attributes:
        name: its path, or what it is called.
        nbytes: size of its file.
        params: elements of its floating-point and quantised constants.
        evaluation: how it did.
        reference: whether it is the teacher itself.
    """

    name: str
    nbytes: int
    params: int
    evaluation: Evaluation
    reference: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The row of the JSON object."""
        return {
            "model": self.name,
            "bytes": self.nbytes,
            "params": self.params,
            "reference": self.reference,
            **self.evaluation.to_dict(),
        }


@dataclass(frozen=True)
class Comparison:
    """Models measured on the same samples.

    Attributes:
        rows: one a model, in the order given.
        teacher: name of the model that they are compared with, None without one.
        notes: what the user should know about the samples.
    """

    rows: tuple[Measured, ...]
    teacher: str | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The outcome as one JSON object."""
        rows = [row.to_dict() for row in self.rows]
        return {"teacher": self.teacher, "models": rows, "notes": list(self.notes)}


def evaluate(
    model: Source,
    data: Data,
    *,
    preprocess: Given | None = None,
    samples: int | None = None,
    metrics: Sequence[str] | None = None,
    teacher: Source | None = None,
    output: str | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Step | None = None,
) -> Evaluation:
    """Measure a model on data.

    Args:
        model: as for ``prune``.
        data: samples, or where they are: an ``.npz`` file, a folder, ``package.module:function``.
        preprocess: what is done to stored values before they are fed.
        samples: how many are taken, None for all.
        metrics: names; None for all that data and teacher allow, but ``top5``.
        teacher: model to compare with, usually the one before pruning.
        output: name of the output with the scores of the classes, None for the first that can be one.
        seed: of the choice of samples.
        threads: of ONNX Runtime, None leaves the choice to it.
        progress: called with the name of each step as it begins.

    Raises:
        InputError: model or data cannot be used, or do not fit each other.
        UsageError: an argument makes no sense, or a metric needs labels or a teacher that are not there.
    """
    found = compare(
        [model],
        data,
        preprocess=preprocess,
        samples=samples,
        metrics=metrics,
        teacher=teacher,
        output=output,
        seed=seed,
        threads=threads,
        progress=progress,
    )
    return found.rows[0].evaluation


def compare(
    models: Iterable[Source],
    data: Data,
    *,
    preprocess: Given | None = None,
    samples: int | None = None,
    metrics: Sequence[str] | None = None,
    also: Sequence[str] = (),
    teacher: Source | None = None,
    output: str | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Step | None = None,
    advance: Progress | None = None,
) -> Comparison:
    """Measure models on the same samples.

    Args:
        models: one or more; without a teacher of their own the first of several is it.
        data: as for ``evaluate``, like all that follow.
        preprocess: what is done to stored values before they are fed.
        samples: how many are taken, None for all.
        metrics: names; None for all that data and teacher allow, but ``top5``.
        also: names of others beside these.
        teacher: model to compare with.
        output: name of the output with the scores of the classes.
        seed: of the choice of samples.
        threads: of ONNX Runtime.
        progress: called with the name of each step as it begins.
        advance: told how many samples of a step are done, and of how many.

    Raises:
        InputError: a model or the data cannot be used, or do not fit each other.
        UsageError: an argument makes no sense, or something is missing that a metric needs.
    """
    step = progress or _silent
    sources = list(models)
    if not sources:
        raise UsageError("There is no model to evaluate.")
    find_metrics((*(metrics or ()), *also))
    step("loading")
    first = open_source(sources[0])
    step("opening samples")
    opened = open_samples(data, first, preprocess=preprocess, count=samples, seed=seed)
    itself = teacher is None and len(sources) > 1
    beside = first if itself else None if teacher is None else open_source(teacher)
    check_needs(find_metrics((*(metrics or ()), *also)), labelled=opened.labelled, teacher=beside is not None)
    taught = None if beside is None else predictor(beside, threads=threads)
    evaluator = Evaluator(opened, metrics, also=also, teacher=taught, output=output)
    rows = []
    for position, source in enumerate(sources):
        model = open_source(source) if position else first
        name = _name(source, position)
        step(f"evaluating {name}")
        reference = itself and not position
        run = taught if reference and taught is not None else predictor(model, threads=threads)
        found = evaluator.evaluate(run, progress=advance)
        rows.append(_row(name, model, found, reference))
    compared = rows[0].name if itself else None if teacher is None else _name(teacher, 0)
    return Comparison(tuple(rows), compared, notes_of(opened))


def _row(name: str, model: Model, found: Evaluation, reference: bool) -> Measured:
    return Measured(name, model.nbytes, measure.parameters(model.constants), found, reference)


def _name(source: Source, position: int) -> str:
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    path = getattr(source, "path", None)
    return str(path) if path else f"model {position + 1}"


def _silent(step: str) -> None:
    """Progress that nobody watches."""
