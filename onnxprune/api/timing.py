"""The latency of one model in turns with that of another, without what a whole benchmark tells."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from onnxprune.coupling import Coupling
from onnxprune.errors import InputError
from onnxprune.execution.execution import Refusal
from onnxprune.runtime.benchmark import rows_of
from onnxprune.runtime.feeds import batch_of, inputs_for, working_feed
from onnxprune.runtime.machine import machine
from onnxprune.runtime.sessions import Session, find_provider
from onnxprune.runtime.turns import Timetable, in_turns

SECONDS = 2.0
"""Of timed runs, a model and its source together."""


@dataclass(frozen=True)
class Pace:
    """How latency is measured.

    Attributes:
        threads: of ONNX Runtime.
        seconds: of timed runs, both models together.
        seed: of inputs and order.
    """

    threads: int = 1
    seconds: float = SECONDS
    seed: int = 0

    @property
    def key(self) -> list[Any]:
        """What figures depend on: they hold on one machine, with so many threads."""
        return [str(machine()), socket.gethostname(), self.threads, self.seconds]

    @property
    def lock(self) -> str:
        """Name of the lock that lets one process of a machine measure at a time."""
        return f"latency-{socket.gethostname()}"


def paced(source: Path, model: Path | None, pace: Pace, coupling: Coupling) -> dict[str, Any]:
    """Typical times of both and their ratio; without a model those of the source, whose ratio is 1.

    Args:
        source: file that the other is compared with.
        model: file with the same inputs.
        pace: for how long, and with how many threads.
        coupling: of the source, which tells its inputs.

    Raises:
        InputError: ONNX Runtime does not run one of them.
    """
    inputs = inputs_for(coupling, "the model", {})
    size = batch_of(inputs, None, "the model")
    provider = find_provider("cpu")
    runs = []
    for path in (source,) if model is None else (source, model):
        try:
            session = Session(path, threads=pace.threads, provider=provider)
            feed = working_feed(session, inputs, size, seed=pace.seed, name=path.name)
        except Refusal as exc:
            raise InputError(f"ONNX Runtime does not run {path.name}: {exc}.") from exc
        runs.append(partial(session.run, feed))
    taken = in_turns(runs, Timetable(pace.seconds, seed=pace.seed))
    rows = rows_of(taken, [size] * len(runs), seed=pace.seed)
    first, last = rows[0].timing, rows[-1]
    told = {"ratio": 1.0, "ratio_interval": [1.0, 1.0], "verdict": ""}
    return {
        "p50_ms": float(f"{1e3 * last.timing.median:.5g}"),
        "source_p50_ms": float(f"{1e3 * first.median:.5g}"),
        **(last.ratio.to_dict() if last.ratio else told),
        "threads": pace.threads,
        "batch": size,
        "machine": str(machine()),
    }
