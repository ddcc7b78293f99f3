"""Training through torch: from a model to a module, and its weights back by name."""

from __future__ import annotations

from pathlib import Path

from onnxprune.calibration import Samples
from onnxprune.errors import MissingExtraError
from onnxprune.model import Model
from onnxprune.training.penalty import Penalty
from onnxprune.training.result import Epoch, Trained, Watch
from onnxprune.training.settings import TrainSettings

CHECKPOINT = "checkpoint.pt"
"""Name of the file in a run's folder that says where its training stands."""

__all__ = ["Epoch", "Penalty", "TrainSettings", "Trained", "Watch", "forget", "train"]


def train(
    model: Model,
    samples: Samples,
    settings: TrainSettings | None = None,
    *,
    teacher: Model | None = None,
    validation: Samples | None = None,
    folder: Path | str | None = None,
    restart: bool = False,
    tensorboard: bool = False,
    penalty: Penalty | None = None,
    progress: Watch | None = None,
) -> Trained:
    """Train a model: on labels, on what a teacher says, or on both.

    The best epoch on the validation data is kept, or the last one where ``settings`` say so. The model is
    returned as it was where the best one is no better than the start: on the validation data where they are
    given; where they are a share of the training data, which the source may have been trained on, on samples
    that are trained on too.

    Interrupted by Ctrl-C, SIGTERM or SIGHUP it returns the best so far and says so; called again with the
    same arguments and folder it goes on where it stopped, to the same result. The checkpoint stays in the
    folder until ``forget`` is called, once the result is kept elsewhere: a process that dies before that has
    lost nothing.

    Under ``torchrun`` all processes call it with the same arguments; each takes its share of every batch, and
    all return the same.

    Args:
        model: to train; it is not changed.
        samples: to train on, with labels or without.
        settings: None for the usual ones.
        teacher: model whose outputs are learned, usually the one before pruning; it takes the same inputs.
        validation: samples to choose the best epoch by; None holds back a share of the training samples.
        folder: for the checkpoint, ``metrics.csv`` and TensorBoard's files; None for none of them.
        restart: whether a checkpoint in the folder is ignored.
        tensorboard: whether metrics are written for TensorBoard too; needs a folder.
        penalty: added to the loss; the last epoch is kept then, as what it brings about is there at the end.
        progress: told how it goes.

    Raises:
        InputError: model and samples do not fit each other, or the model cannot be trained.
        UsageError: a setting makes no sense, there are neither labels nor a teacher, or the folder holds the
            checkpoint of another run.
        MissingExtraError: torch, or TensorBoard where it is asked for, is not installed.
    """
    _require_torch()
    from onnxprune.training.run import Task, run_training

    task = Task(
        model,
        samples,
        settings or TrainSettings(),
        teacher=teacher,
        validation=validation,
        folder=None if folder is None else Path(folder),
        restart=restart,
        tensorboard=tensorboard,
        penalty=penalty,
        watch=progress,
    )
    return run_training(task)


def forget(folder: Path | str | None) -> None:
    """Remove the checkpoint of a training whose result is kept elsewhere.

    Args:
        folder: that ``train`` was given.
    """
    if folder is not None:
        (Path(folder) / CHECKPOINT).unlink(missing_ok=True)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError as exc:
        raise MissingExtraError(
            f"Training needs torch, which cannot be imported: {exc}.", hint='pip install "onnxprune[torch]"'
        ) from exc
