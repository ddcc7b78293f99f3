"""The same command gives the same bytes, whatever the threads, the process, the hash seed and the folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import onnxprune
from small_networks import network, save

IMAGES = np.random.default_rng(1).standard_normal((60, 3, 8, 8)).astype(np.float32)
BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

GIVEN = {
    "weights": ("--ratio", "0.5", "--report", "r.html"),
    "samples, obs and its repair": ("--ratio", "0.5", "--data", "x.npz", "--holdout", "0"),
    "activations": ("--macs", "0.5x", "--data", "x.npz", "--criterion", "entropy", "--repair", "lstsq"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_the_same_bytes(tmp_path: Path, case: str) -> None:
    found = []
    for threads in ("1", "4"):
        folder = tmp_path / f"with {threads}"
        folder.mkdir()
        save(folder, network())
        np.savez(folder / "x.npz", x=IMAGES)
        variables = {**dict.fromkeys(BLAS, threads), "PYTHONHASHSEED": threads}
        done = onnxprune(
            *("model.onnx", *GIVEN[case], "--no-verify", "-o", "out.onnx", "--threads", threads),
            cwd=folder,
            **variables,
        )
        assert done.returncode == 0, done.stderr
        found.append((folder / "out.onnx").read_bytes())
    assert found[0] == found[1]
