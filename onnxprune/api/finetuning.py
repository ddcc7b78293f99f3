"""Training a model on data: on labels, on what a teacher says, or on both."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from onnxprune.api.arguments import Data
from onnxprune.api.sources import Source, open_source, opening
from onnxprune.api.writing import written
from onnxprune.calibration import Samples, notes_of, open_samples
from onnxprune.calibration.preprocess import Given
from onnxprune.errors import UsageError
from onnxprune.model import Model
from onnxprune.model.save import check_output
from onnxprune.report.document import SCHEMA
from onnxprune.training import Trained, TrainSettings, Watch, forget, train
from onnxprune.training.launch import leads

_NAMES = tuple(field.name for field in fields(TrainSettings))


@dataclass(frozen=True)
class FinetuneResult:
    """A trained model and how that went.

    Attributes:
        model: with the weights of the best epoch.
        report: source, output, and the section ``training`` with settings, history and best epoch.
        stopped_by: number of the signal that has stopped training, 0 for none; then nothing was written.
    """

    model: Model
    report: Mapping[str, Any]
    stopped_by: int = 0

    @property
    def interrupted(self) -> bool:
        """Whether training was stopped from outside."""
        return self.stopped_by != 0

    def to_dict(self) -> dict[str, Any]:
        """The report as one JSON object."""
        return dict(self.report)


def finetune(
    model: Source,
    train_data: Data,
    *,
    teacher: Source | None = None,
    preprocess: Given | None = None,
    samples: int | None = None,
    validation_data: Data | None = None,
    output: str | os.PathLike[str] | None = None,
    run_folder: str | os.PathLike[str] | None = None,
    restart: bool = False,
    tensorboard: bool = False,
    progress: Watch | None = None,
    **settings: Any,
) -> FinetuneResult:
    """Train a model through torch; the source is never changed.

    The result is never worse than the source on the samples that are held back for the choice of the best
    epoch. Ctrl-C ends training after the step under way; with a run folder the same call goes on later.

    Args:
        model: as for ``prune``.
        train_data: samples, or where they are, as for ``prune``; with labels unless there is a teacher.
        teacher: model whose outputs are learned, usually the one before pruning.
        preprocess: what is done to stored samples.
        samples: how many are taken, None for all.
        validation_data: samples to choose the best epoch by; None holds back a share of the training data.
        output: where to write; nothing is written without it.
        run_folder: for the checkpoint, ``metrics.csv`` and TensorBoard's files; None for none of them.
        restart: whether a checkpoint in the folder is ignored.
        tensorboard: whether metrics are written for TensorBoard; needs a run folder.
        progress: told how it goes.
        settings: fields of ``TrainSettings``: ``epochs``, ``lr``, ``augment``, ...

    Raises:
        InputError: model, teacher or samples cannot be used.
        UsageError: an argument makes no sense.
        OutputError: a file cannot be written.
        MissingExtraError: torch, or another package that is asked for, is not installed.
    """
    chosen = _settings(settings)
    step: Any = progress if progress is not None and leads() else _nothing
    if tensorboard and run_folder is None:
        raise UsageError("--tensorboard needs a folder.", hint="Name one with --run-folder.")
    step(opening(model))
    source = open_source(model)
    path = None if output is None else Path(output)
    beside = None if teacher is None else open_source(teacher)
    if path is not None:
        for read in filter(None, (source, beside)):
            check_output(path, read)
    step("opening samples")
    opened = _opened(train_data, source, preprocess, samples, chosen.seed)
    held = None if validation_data is None else _opened(validation_data, source, preprocess, None, 0)
    folder = None if run_folder is None else Path(run_folder)
    found = train(
        source,
        opened,
        chosen,
        teacher=beside,
        validation=held,
        folder=folder,
        restart=restart,
        tensorboard=tensorboard,
        progress=progress,
    )
    writes = path if leads() and not found.interrupted else None
    if writes is not None:
        step("writing")
    saved = written(found.model, writes)
    if leads() and not found.interrupted:
        forget(folder)
    notes = (*notes_of(opened), *found.notes)
    return FinetuneResult(saved, _report(source, saved, beside, found, notes), found.stopped_by)


def default_run_folder(output: Path) -> Path:
    """Where the command line keeps the checkpoint of a run that names no folder."""
    return output.with_suffix(".run")


def clear_run_folder(folder: Path) -> None:
    """Remove the folder of a run that nobody asked to keep."""
    shutil.rmtree(folder, ignore_errors=True)


def _settings(given: Mapping[str, Any]) -> TrainSettings:
    """The settings of some keywords.

    Raises:
        UsageError: there is no such setting, or its value makes no sense.
    """
    for name in given:
        if name not in _NAMES:
            close = get_close_matches(name, _NAMES, n=1)
            guess = f"Did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"There is no setting {name!r}.", hint=f"{guess}Known: {', '.join(_NAMES)}.")
    return TrainSettings(**given)


def _opened(data: Data, model: Model, preprocess: Given | None, count: int | None, seed: int) -> Samples:
    given = None if isinstance(data, Samples) else preprocess
    return open_samples(data, model, preprocess=given, count=count, seed=seed)


def _report(
    source: Model, saved: Model, teacher: Model | None, found: Trained, notes: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "source": _file(source),
        "teacher": None if teacher is None else _file(teacher),
        "output": _file(saved) if saved.path != source.path else None,
        "training": found.to_dict(),
        "warnings": list(notes),
    }


def _file(model: Model) -> dict[str, Any]:
    path = None if model.path is None else str(model.path)
    return {"path": path, "bytes": model.nbytes, "sha256": model.sha256}


def _nothing(name: str) -> None:
    """Progress that nobody watches."""
