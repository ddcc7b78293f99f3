"""What a benchmark is asked for, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from onnxprune.coupling import Coupling
from onnxprune.errors import UsageError
from onnxprune.runtime.alone import Alone
from onnxprune.runtime.feeds import Shapes
from onnxprune.runtime.machine import Machine
from onnxprune.runtime.profile import Profile
from onnxprune.runtime.sessions import CPU
from onnxprune.runtime.spread import Ratio, Timing

SECONDS = 10.0
"""Default time for the runs that are timed, all settings together."""


@dataclass(frozen=True)
class BenchSettings:
    """What is measured, and for how long.

    Attributes:
        threads: numbers of threads of ONNX Runtime, each measured by itself.
        batch: batch sizes, each measured by itself; empty for the model's own, or 1 where it is open.
        providers: execution providers, by their short or full names.
        seconds: of timed runs, all settings together.
        shapes: input name -> shape, where sizes are open.
        profile: whether nodes are profiled, at the first setting.
        seed: of the inputs and the order of runs.
    """

    threads: tuple[int, ...] = (1,)
    batch: tuple[int, ...] = ()
    providers: tuple[str, ...] = (CPU,)
    seconds: float = SECONDS
    shapes: Shapes = field(default_factory=lambda: MappingProxyType({}))
    profile: bool = False
    seed: int = 0

    def check(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            UsageError: naming the option.
        """
        for option, values in (("--threads", self.threads), ("--batch", self.batch)):
            if any(value < 1 for value in values):
                raise UsageError(f"{option} {min(values)} is too small.", hint="Give 1 or more.")
        if not self.seconds >= 0:
            raise UsageError(f"--seconds {self.seconds} is no time.", hint="Give 0 or more.")
        if not self.threads or not self.providers:
            raise UsageError("There are no threads or providers to measure with.", hint="Give one of each.")


@dataclass(frozen=True)
class Subject:
    """A model that takes part.

    Attributes:
        name: what it is called.
        path: file that is loaded.
        nbytes: its size, external data included.
        coupling: tells its inputs and its size.
    """

    name: str
    path: Path
    nbytes: int
    coupling: Coupling

    def figures(self) -> dict[str, Any]:
        """Size and arithmetic."""
        structure = self.coupling.structure
        totals = structure.sizes.totals(np.ones(len(structure.groups)))
        return {
            "bytes": self.nbytes,
            "params": round(totals["params"]),
            "macs": round(totals["macs"]),
            "nodes": len(self.coupling.model.proto.graph.node),
        }


@dataclass(frozen=True)
class Row:
    """One model at one setting.

    Attributes:
        timing: its run times.
        ratio: to the first model, None for the first itself.
        batch: samples in one run.
    """

    timing: Timing
    ratio: Ratio | None
    batch: int

    def to_dict(self) -> dict[str, Any]:
        """The object of the JSON."""
        throughput = float(f"{self.batch / self.timing.mean:.5g}")
        found = {"batch": self.batch, **self.timing.to_dict(), "throughput_per_s": throughput}
        return {**found, **(self.ratio.to_dict() if self.ratio else {})}


@dataclass(frozen=True)
class Setting:
    """All models at one number of threads, batch size and provider.

    Attributes:
        threads: of ONNX Runtime.
        provider: execution provider, short name.
        rows: by model, in the order given.
    """

    threads: int
    provider: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class Benchmark:
    """What was measured.

    Attributes:
        machine: on which.
        settings: how.
        subjects: the models.
        alone: load time and memory by model, at the first setting.
        results: one a setting.
        profiles: by model, empty unless asked for.
        notes: what the user should know.
    """

    machine: Machine
    settings: BenchSettings
    subjects: tuple[Subject, ...]
    alone: tuple[Alone, ...]
    results: tuple[Setting, ...]
    profiles: tuple[Profile, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """One JSON object."""
        names = [subject.name for subject in self.subjects]
        own = self.settings
        models = [
            {"model": subject.name, **subject.figures(), **alone.to_dict()}
            for subject, alone in zip(self.subjects, self.alone, strict=True)
        ]
        return {
            "machine": self.machine.to_dict(),
            "settings": {"seconds": own.seconds, "seed": own.seed, "shapes": _lists(own.shapes)},
            "models": models,
            "results": [
                {
                    "threads": result.threads,
                    "provider": result.provider,
                    "models": [
                        {"model": name, **row.to_dict()} for name, row in zip(names, result.rows, strict=True)
                    ],
                }
                for result in self.results
            ],
            "profiles": [
                {"model": name, **profile.to_dict()}
                for name, profile in zip(names, self.profiles, strict=False)
            ],
            "notes": list(self.notes),
        }


def _lists(shapes: Shapes) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}
