"""``quantize``, and ``--quantize`` of a pruning run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import as_json, onnxprune
from small_networks import files, network, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """model.onnx and data.npz."""
    save(tmp_path, network())
    rng = np.random.default_rng(0)
    images = rng.standard_normal((60, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "data.npz", image=images, labels=rng.integers(0, 10, 60))
    return tmp_path


def test_a_copy_is_written_beside_the_model(folder: Path) -> None:
    given = ("quantize", "model.onnx", "--data", "data.npz", "--samples", "30", "--ranges", "percentile")
    found = as_json(*given, cwd=folder)
    assert files(folder) == {"model.onnx", "data.npz", "model.int8.onnx"}
    assert (found["kind"], found["form"], found["ranges"], found["samples"]) == (
        "int8",
        "static",
        "percentile",
        30,
    )
    assert found["output"]["bytes"] == (folder / "model.int8.onnx").stat().st_size < found["source_bytes"] / 2
    assert set(found["accuracy"]) == {"before", "int8"}
    assert "agreement" in found["accuracy"]["int8"]


def test_fp16_needs_no_data(folder: Path) -> None:
    done = onnxprune("quantize", "model.onnx", "--to", "fp16", "-o", "half.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "half.onnx" in done.stdout
    assert files(folder) == {"model.onnx", "data.npz", "half.onnx"}


REFUSED = {
    "no data": (("quantize", "model.onnx"), "needs samples"),
    "kind": (("quantize", "model.onnx", "--to", "int3"), "int3"),
    "itself": (("quantize", "model.onnx", "--to", "fp16", "-o", "model.onnx"), "never overwritten"),
    "of a run": (("model.onnx", "--ratio", "0.5", "--quantize", "int3"), "int3"),
    "of a run without data": (("model.onnx", "--ratio", "0.5", "--quantize", "int8"), "needs samples"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_quantised_leaves_nothing_behind(folder: Path, case: str) -> None:
    given, said = REFUSED[case]
    done = onnxprune(*given, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    assert files(folder) == {"model.onnx", "data.npz"}


def test_a_run_makes_a_copy_of_its_result(folder: Path) -> None:
    given = (
        "--ratio",
        "0.5",
        "--data",
        "data.npz",
        "--quantize",
        "int8",
        "--report",
        "r.json",
        "--report",
        "r.md",
    )
    done = onnxprune("model.onnx", *given, "-o", "small.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert files(folder) == {"model.onnx", "data.npz", "small.onnx", "small.int8.onnx", "r.json", "r.md"}
    for said in ("source+int8", "pruned+int8", "small.int8.onnx"):
        assert said in done.stdout
    assert "| pruned+int8 |" in (folder / "r.md").read_text()
    assert onnxprune("verify", "model.onnx", "small.onnx", "r.json", cwd=folder).returncode == 0


def test_the_report_holds_sizes_and_figures(folder: Path) -> None:
    given = ("--ratio", "0.5", "--data", "data.npz", "--quantize", "fp16", "--dry-run")
    found = as_json("model.onnx", *given, cwd=folder)
    told = found["quantization"]
    assert (told["kind"], told["form"], told["output"]["written"]) == ("fp16", "float16", False)
    assert told["output"]["bytes"] < found["totals"]["bytes"][1]
    assert set(told["accuracy"]) == {"source+fp16", "pruned+fp16"}
    assert set(found["accuracy"]["stages"]).isdisjoint(told["accuracy"])
    assert files(folder) == {"model.onnx", "data.npz"}
