"""One training from beginning to end."""

from __future__ import annotations

from pathlib import Path

from onnxprune.calibration import Samples
from onnxprune.model import Model
from onnxprune.training.penalty import Penalty
from onnxprune.training.result import Trained, Watch
from onnxprune.training.settings import TrainSettings


def run_training(
    model: Model,
    samples: Samples,
    settings: TrainSettings,
    *,
    teacher: Model | None,
    validation: Samples | None,
    folder: Path | None,
    restart: bool,
    tensorboard: bool,
    penalty: Penalty | None,
    progress: Watch | None,
) -> Trained:
    """See ``onnxprune.training.train``."""
    raise NotImplementedError
