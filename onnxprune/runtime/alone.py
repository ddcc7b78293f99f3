"""Loads and runs one model in a process of its own, and tells what that took.

``measure_alone`` starts the process; run as a program, this module is that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxprune.execution.execution import Refusal
from onnxprune.model.constants import Array
from onnxprune.runtime.sessions import Session

RUNS = 3
"""Memory is at its peak after the first run in most models; a few more make sure of it."""
_STATUS = Path("/proc/self/status")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Alone:
    """What one model took.

    Attributes:
        load_seconds: from the file to a session, ONNX Runtime being loaded already.
        peak_bytes: largest resident set of the process.
        empty_bytes: of the same process before it loaded the model.
    """

    load_seconds: float
    peak_bytes: int
    empty_bytes: int

    def to_dict(self) -> dict[str, float | int]:
        """The object of the JSON reports."""
        return {
            "load_ms": float(f"{1e3 * self.load_seconds:.4g}"),
            "peak_bytes": self.peak_bytes,
            "empty_bytes": self.empty_bytes,
        }


def measure_alone(model: Path, feed: Mapping[str, Array], *, threads: int, provider: str) -> Alone:
    """Load and run a model in a fresh process.

    Args:
        model: path of the file.
        feed: input name -> array.
        threads: of ONNX Runtime.
        provider: full name of the execution provider.

    Raises:
        Refusal: the process failed; the message is its last line.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "feed.npz"
        np.savez(inputs, *feed.values())
        job = {"model": str(model), "feed": str(inputs), "names": list(feed), "threads": threads}
        path = os.pathsep.join(part for part in (str(_ROOT), os.environ.get("PYTHONPATH", "")) if part)
        done = subprocess.run(
            [sys.executable, "-m", __name__, json.dumps({**job, "provider": provider})],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
    if done.returncode:
        raise Refusal((done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1])
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Alone(found["load_seconds"], found["peak_bytes"], found["empty_bytes"])


def _work(job: Mapping[str, object]) -> dict[str, float | int]:
    with np.load(str(job["feed"])) as arrays:
        names: list[str] = job["names"]  # type: ignore[assignment]
        feed = {name: arrays[f"arr_{place}"] for place, name in enumerate(names)}
    empty = _peak()
    begin = time.perf_counter()
    session = Session(
        Path(str(job["model"])), threads=int(str(job["threads"])), provider=str(job["provider"])
    )
    load = time.perf_counter() - begin
    for _ in range(RUNS):
        session.run(feed)
    return {"load_seconds": load, "peak_bytes": _peak(), "empty_bytes": empty}


def _peak() -> int:
    """Largest resident set so far, in bytes.

    Linux hands the parent's figure of ``getrusage`` down to the child; that of the status file is its own.
    """
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        try:
            import resource
        except ImportError:  # Windows
            return 0
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(json.dumps(_work(json.loads(sys.argv[1]))))
