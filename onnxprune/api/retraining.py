"""Training within a pruning run: what is left learns from the labels, from the model before, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnxprune.api.holding import Shares
from onnxprune.api.job import Job
from onnxprune.api.planning import Step
from onnxprune.api.run_store import Store, open_store
from onnxprune.api.sources import open_source
from onnxprune.api.training_data import open_training, open_validation
from onnxprune.api.training_settings import trains
from onnxprune.calibration import Samples
from onnxprune.errors import Stopped
from onnxprune.model import Model
from onnxprune.training import Penalty, TrainSettings, forget, train


@dataclass(frozen=True, eq=False)
class Trainer:
    """Trains the models of a run, and keeps what is done.

    Attributes:
        settings: of every training.
        samples: to train on.
        validation: to choose the best epoch by, None for a share of ``samples``.
        teacher: whose outputs are learned.
        store: of the run.
        tensorboard: whether metrics are written for TensorBoard too.
        last_epochs: of the training behind the last step, None for as many as the others.
    """

    settings: TrainSettings
    samples: Samples
    validation: Samples | None
    teacher: Model
    store: Store
    tensorboard: bool = False
    last_epochs: float | None = None

    def __call__(
        self,
        model: Model,
        name: str,
        step: Step,
        *,
        settings: TrainSettings | None = None,
        penalty: Penalty | None = None,
    ) -> tuple[Model, Mapping[str, Any]]:
        """Train a model, or give what an earlier run has trained.

        Args:
            model: to train.
            name: of the stage, for the report and the run folder.
            step: told how it goes.
            settings: None for those of the run.
            penalty: added to the loss.

        Returns:
            The model, and the entry of the report's section ``training``.

        Raises:
            InputError: the samples do not fit, or the model cannot be trained.
            UsageError: there is nothing to learn from.
            Stopped: a signal has stopped training; the same run goes on where it was.
            MissingExtraError: torch is not installed.
        """
        known = self.store.load(name)
        if known is not None:
            return known
        found = train(
            model,
            self.samples,
            settings or self.settings,
            teacher=self.teacher,
            validation=self.validation,
            folder=self.store.place(name),
            tensorboard=self.tensorboard and self.store.folder is not None,
            penalty=penalty,
            progress=Watched(step),
        )
        if found.interrupted:
            raise Stopped(found.stopped_by)
        account = {"stage": name, **found.to_dict()}
        kept = self.store.save(name, found.model, account)
        forget(self.store.place(name))
        return kept, account

    def behind(self, last: bool) -> TrainSettings:
        """Settings of the training behind a step."""
        if last and self.last_epochs is not None:
            return replace(self.settings, epochs=self.last_epochs)
        return self.settings


@dataclass(frozen=True, eq=False)
class Watched:
    """Progress as training tells it, for what may only take the names of steps.

    Attributes:
        step: told the names; and the rest where it can be.
        before: in front of every name.
    """

    step: Step
    before: str = ""

    def __call__(self, name: str) -> None:
        """A step begins."""
        self.step(self.before + name)

    def advance(self, done: int, total: int) -> None:
        """So much of it is done."""
        self._pass("advance", done, total)

    def tell(self, text: str) -> None:
        """How it goes."""
        self._pass("tell", text)

    def line(self, text: str) -> None:
        """A part of it has ended, and how."""
        self._pass("line", text)

    def _pass(self, name: str, *given: Any) -> None:
        told = getattr(self.step, name, None)
        if told is not None:
            told(*given)


def open_trainer(job: Job, model: Model, shares: Shares, store: Store, step: Step) -> Trainer | None:
    """What trains the models of a run, None where nothing is to be trained.

    Args:
        job: names data and settings.
        model: the source, which is the teacher where no other is named.
        shares: samples held back, which are kept out of the training data.
        store: of the run.
        step: told the name of the step.

    Raises:
        InputError: samples or teacher cannot be used.
        UsageError: a specification makes no sense.
    """
    own = job.settings
    if not trains(own) and own.sparsity is None:
        return None
    return Trainer(
        settings=replace(own.training or TrainSettings(), seed=own.seed),
        samples=open_training(job, model, shares, step),
        validation=open_validation(job, model, shares),
        teacher=_teacher(job, model, step),
        store=store,
        tensorboard=own.tensorboard,
        last_epochs=own.last_epochs,
    )


def _teacher(job: Job, model: Model, step: Step) -> Model:
    if job.settings.teacher is None:
        return model
    step("opening the teacher")
    return open_source(job.settings.teacher)


def open_run(job: Job, model: Model, shares: Shares) -> Store:
    """The store of a run."""
    own = job.settings
    folder = None if own.run_folder is None else Path(own.run_folder)
    samples = {"fitting": shares.fitting, "held": shares.held}
    return open_store(folder, job.to_dict(), {"source": model}, samples, restart=own.restart)
