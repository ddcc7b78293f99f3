"""The samples of a run."""

from __future__ import annotations

from onnxprune.api.planning import Step
from onnxprune.api.settings import Settings
from onnxprune.calibration import DEFAULT_COUNT, Samples, open_samples
from onnxprune.model import Model


def samples_of(settings: Settings, model: Model, step: Step) -> Samples | None:
    """The samples that the settings name, opened for a model; None where they name none.

    Args:
        settings: checked by ``open_job``.
        model: that the samples are fed to.
        step: told the name of the step.

    Raises:
        InputError: they cannot be read, or do not fit the model.
        UsageError: the specification makes no sense.
        MissingExtraError: images need Pillow, and it is not installed.
    """
    own = settings
    if own.data is None:
        return None
    step("opening samples")
    count = own.samples
    if count is None and not isinstance(own.data, Samples):
        count = DEFAULT_COUNT
    return open_samples(own.data, model, preprocess=own.preprocess, count=count, seed=own.seed)
