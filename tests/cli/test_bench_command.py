"""``bench``: structure and messages; times are whatever they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import as_json, onnxprune
from small_networks import files, network, save

import onnxprune as package
from onnxprune.errors import UsageError


def test_models_are_compared_with_the_first(tmp_path: Path) -> None:
    save(tmp_path, network())
    save(tmp_path, network(seed=1), "other.onnx")
    given = ("--threads", "1,2", "--batch", "1,4", "--seconds", "0.2", "--profile")
    found = as_json("bench", "model.onnx", "other.onnx", *given, cwd=tmp_path)
    assert files(tmp_path) == {"model.onnx", "other.onnx"}
    assert [(r["threads"], r["models"][0]["batch"]) for r in found["results"]] == [
        (1, 1),
        (1, 4),
        (2, 1),
        (2, 4),
    ]
    first, second = found["results"][0]["models"]
    assert "ratio" not in first
    low, high = second["ratio_interval"]
    assert 0 < low <= second["ratio"] <= high
    assert second["verdict"] in ("faster", "slower", "within noise")
    assert 0 < first["p50_ms"] <= first["p90_ms"] <= first["p99_ms"]
    assert first["throughput_per_s"] > 0
    for row in found["models"]:
        assert row["macs"] == 64 * 9 * (3 * 32 + 32 * 64) + 640
        assert row["bytes"] == (tmp_path / row["model"]).stat().st_size
        assert row["load_ms"] > 0
        assert row["peak_bytes"] >= row["empty_bytes"] > 0
    assert [row["model"] for row in found["profiles"]] == ["model.onnx", "other.onnx"]
    assert found["machine"]["onnxruntime"]
    assert found["settings"]["seed"] == 0


def test_text_for_people(tmp_path: Path) -> None:
    save(tmp_path, network())
    done = onnxprune("bench", "model.onnx", "model.onnx", "--seconds", "0", "--profile", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("1 thread, batch 1", "p50", "p99", "memory", "time against the first", "operator", "Conv"):
        assert said in done.stdout
    assert onnxprune("bench", "model.onnx", "--seconds", "0", "-q", cwd=tmp_path).stdout == ""


REFUSED = {
    "no model": ((), "Missing argument"),
    "no file": (("missing.onnx",), "does not exist"),
    "batch": (("model.onnx", "--batch", "0"), "--batch 0"),
    "threads": (("model.onnx", "--threads", "one"), "no list of numbers"),
    "seconds": (("model.onnx", "--seconds", "-1"), "--seconds"),
    "provider": (("model.onnx", "--provider", "abacus"), "'abacus'"),
    "shape of nothing": (("model.onnx", "--shape", "sound=1x2"), "Inputs: image"),
    "shape that does not fit": (("model.onnx", "--shape", "image=1x4x8x8"), "nx3x8x8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured_is_refused(tmp_path: Path, case: str) -> None:
    given, said = REFUSED[case]
    save(tmp_path, network())
    done = onnxprune("bench", *given, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_models_in_memory_are_measured_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps: list[str] = []
    found = package.benchmark([network(), network(seed=1)], seconds=0.0, progress=steps.append)
    assert [subject.name for subject in found.subjects] == ["model 1", "model 2"]
    assert found.results[0].rows[0].ratio is None
    assert steps[0] == "loading"
    assert files(tmp_path) == set()
    with pytest.raises(UsageError, match="no model"):
        package.benchmark([])
