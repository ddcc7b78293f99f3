"""Moments of activations, measured on samples."""

from __future__ import annotations

import numpy as np

from onnxprune.calibration import Samples
from onnxprune.calibration.gathering import gather
from onnxprune.calibration.statistics import Covariance, Mean
from onnxprune.coupling import Coupling, Group
from onnxprune.repair.method import RepairOptions
from onnxprune.repair.moments import Moments


class MeasuredMoments:
    """Moments of the units of every group, in every value that a layer reads with weights.

    Args:
        coupling: of the source.
        samples: to measure on.
        options: of the repair.

    Raises:
        InputError: the model does not run on the samples.
    """

    def __init__(self, coupling: Coupling, samples: Samples, options: RepairOptions) -> None:
        wanted = (Mean(), Covariance())
        self._found = gather(coupling, samples, wanted, threads=options.threads, seed=options.seed)

    def of(self, group: Group, reading: int) -> Moments | None:
        """Moments of a group in the value of one of its readings."""
        mean = np.mean(self._found.of(group, Mean())[reading], axis=0)
        return Moments(mean, self._found.of(group, Covariance())[reading])
