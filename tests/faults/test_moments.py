"""A run that is killed at any moment of its time, not only where it changes a file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import environment
from leavings import TEMPORARY, but, check_whole, contents
from stopped_runs import CASES, Case, begun

FEW, MANY = 2, 6
"""Moments of a case: always, and in the long tests."""

SHORT = ("samples", "a sweep")
LONGER = (*SHORT, "external data", "a bound on the loss", "a latency", "training", "steps with training")


def run(folder: Path, case: Case, seconds: float | None = None) -> tuple[int, str]:
    """Exit code and complaints of the command, which is killed after some time unless it has ended before."""
    with subprocess.Popen(
        [sys.executable, "-m", "onnxprune", *case.arguments],
        cwd=folder,
        env=environment(OMP_NUM_THREADS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            _, told = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            _, told = process.communicate()
    return process.returncode, told


def fresh(folder: Path, case: Case) -> Path:
    folder.mkdir()
    begun(case, folder)
    return folder


def check_led_by_time(folder: Path, kept: tuple[str, ...], given: set[str], written: set[str]) -> None:
    """What is there is whole, although it may be another result each time."""
    for name in but(contents(folder), kept).keys() - given:
        match = TEMPORARY.fullmatch(name)
        assert (match[1] if match else name) in written
        if not match:
            onnx.checker.check_model(str(folder / name))


@pytest.mark.parametrize(
    ("name", "moments"),
    [
        *((name, FEW) for name in SHORT),
        *(pytest.param(name, MANY, marks=pytest.mark.slow) for name in LONGER),
    ],
)
def test_killed_at_any_moment_a_run_goes_on_to_the_same_result(
    tmp_path: Path, name: str, moments: int
) -> None:
    case = CASES[name]
    whole = fresh(tmp_path / "whole", case)
    start, begin = contents(whole), time.monotonic()
    code, told = run(whole, case)
    lasted = time.monotonic() - begin
    assert code == 0, told
    complete = contents(whole)
    written = complete.keys() - start.keys()
    drawn = np.random.default_rng([moments, len(name)]).uniform(0, lasted, moments)
    for moment in sorted(drawn):
        folder = fresh(tmp_path / "stopped", case)
        run(folder, case, moment)
        found = contents(folder)
        assert start.items() <= found.items(), f"an input was touched at {moment:.2f} s"
        if case.exact:
            check_whole(found, complete, start, case.kept)
        else:
            check_led_by_time(folder, case.kept, set(start), set(written))
        code, told = run(folder, case)
        assert code == 0, f"after {moment:.2f} s: {told}"
        again, wanted = (but(files, case.kept) for files in (contents(folder), complete))
        assert again.keys() == wanted.keys()
        assert start.items() <= again.items()
        if case.exact:
            assert again == wanted, f"after {moment:.2f} s"
        shutil.rmtree(folder)
