"""What to measure, and how a way of measuring is called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from onnxprune.calibration.carriers import Carrier, Reading
from onnxprune.calibration.evidence import Look
from onnxprune.calibration.memory import batch_size, fixed_batch
from onnxprune.calibration.samples import Samples
from onnxprune.calibration.statistics import Statistic
from onnxprune.coupling import Coupling

Found = Mapping[Statistic, Look]
"""What was found of every group, by statistic."""


@dataclass(frozen=True, eq=False)
class Task:
    """A model to be measured.

    Attributes:
        coupling: of the model.
        readings: of every group, by name.
        samples: that it is run on, all of them.
        threads: of ONNX Runtime or torch; None leaves the choice to it.
        seed: of random choices.
    """

    coupling: Coupling
    readings: Mapping[str, tuple[Reading, ...]]
    samples: Samples
    threads: int | None
    seed: int

    def carriers(self) -> tuple[Carrier, ...]:
        """The values that carry groups, each once."""
        return tuple(dict.fromkeys(r.carrier for own in self.readings.values() for r in own))

    def batch(self, samples: Samples, *, held: Collection[str] | None = (), copies: int = 0) -> int:
        """How many samples to run at a time; one where their values could not be told apart.

        Args:
            samples: that will be run.
            held: values that are kept until the end of a run, None for all of them.
            copies: how many values of its size each held one makes.

        Raises:
            UsageError: the model takes a fixed number of samples, and there are fewer.
        """
        size = batch_size(self.coupling, samples, held=held, copies=copies)
        mixed = any(carrier.batch is None for carrier in self.carriers())
        return 1 if mixed and not fixed_batch(self.coupling) else size


Measure = Callable[[Task, frozenset[Statistic]], Found]
"""Gives, for each of some statistics, what was found of every group."""
