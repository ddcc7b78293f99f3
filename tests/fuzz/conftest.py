"""The inputs and their processes lie beside the benchmark that runs thousands of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(scope="session")
def prepared() -> None:
    """Everything that is imported on use is there before processes are forked."""
    from fuzzing import processes

    processes.prepare()
