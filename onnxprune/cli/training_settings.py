"""From options about training and steps to the settings of a pruning run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprune.cli.finetune_options import RunOptions, TrainOptions, train_settings
from onnxprune.cli.settings import import_from_here
from onnxprune.cli.signals import Ended
from onnxprune.cli.stdout import complain
from onnxprune.cli.step_options import StepOptions, TuneOptions
from onnxprune.errors import Stopped, UsageError

if TYPE_CHECKING:
    from onnxprune.api import Settings
    from onnxprune.training import TrainSettings


def with_training(
    settings: Settings,
    tune: TuneOptions,
    training: TrainOptions,
    steps: StepOptions,
    run: RunOptions,
    output: Path,
) -> Settings:
    """The settings of a run with what the options say about training and steps.

    Args:
        settings: so far.
        tune: whether to train.
        training: how.
        steps: how many, and what comes before them.
        run: what is kept.
        output: beside which a run keeps what it needs to go on, where it has no folder.

    Raises:
        UsageError: options about training, and nothing is trained; or a value that makes no sense.
    """
    given = train_settings(training)
    trains = tune.finetune is not None or steps.sparsity is not None
    if given and not trains:
        name = next(iter(given)).replace("_", "-")
        raise UsageError(
            f"--{name} is about training, and nothing is trained.", hint="Add --finetune EPOCHS."
        )
    if any(":" in (spec or "") for spec in (tune.train_data, training.validation_data)):
        import_from_here()
    own = replace(
        settings,
        training=_training(tune, training) if trains else None,
        train_data=tune.train_data,
        validation_data=training.validation_data,
        teacher=training.teacher,
        last_epochs=tune.last_epochs,
        steps=steps.steps,
        step_schedule=steps.step_schedule,
        sparsity=steps.sparsity,
        sparsity_strength=steps.sparsity_strength,
        sparsity_epochs=steps.sparsity_epochs,
        restart=run.restart,
        tensorboard=run.tensorboard,
    )
    return replace(own, run_folder=_folder(own, run, output))


def _training(tune: TuneOptions, training: TrainOptions) -> TrainSettings:
    from onnxprune.training import TrainSettings

    return TrainSettings(**train_settings(training, epochs=tune.finetune or 0.0))


def _folder(settings: Settings, run: RunOptions, output: Path) -> Path | None:
    """Where a run keeps what it needs to go on; a short one keeps nothing."""
    from onnxprune.api.finetuning import default_run_folder
    from onnxprune.api.training_settings import several

    if run.run_folder is not None:
        return run.run_folder
    return default_run_folder(output) if settings.training is not None or several(settings) else None


@contextmanager
def resumable(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Says how a run that is interrupted goes on.

    Args:
        folder: of what it goes on with, None for nothing.

    Raises:
        Ended: a signal other than SIGINT has stopped a training.
    """
    try:
        yield
    except (KeyboardInterrupt, Ended) as error:
        if folder is not None and Path(folder).exists():
            complain(f"The same command goes on where it stopped; {folder} holds what it needs.\n")
        if isinstance(error, Stopped) and error.number != signal.SIGINT:
            raise Ended(error.number) from None
        raise


def clear_up(settings: Settings) -> None:
    """Remove the folder of a run that has ended well."""
    from onnxprune.api.finetuning import clear_run_folder

    if settings.run_folder is not None:
        clear_run_folder(Path(settings.run_folder))
