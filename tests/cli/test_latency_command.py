"""``--latency``, ``--speedup`` and ``--bench`` of a pruning run."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import as_json, onnxprune
from small_networks import files, network, save


def test_a_latency_that_holds_already_is_met_by_the_source(tmp_path: Path) -> None:
    save(tmp_path, network())
    done = onnxprune(
        "model.onnx", "--latency", "100s", "--report", "r.md", cwd=tmp_path, HOME=str(tmp_path / "home")
    )
    assert done.returncode == 0, done.stderr
    assert "--latency 100s holds with all its channels" in done.stdout
    assert "latency" in (tmp_path / "r.md").read_text()


def test_the_result_is_measured_against_its_source(tmp_path: Path) -> None:
    save(tmp_path, network())
    done = onnxprune("model.onnx", "--ratio", "0.5", "--bench", "--report", "r.json", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert "of the source's" in done.stdout
    assert files(tmp_path) == {"model.onnx", "model.pruned.onnx", "r.json"}


def test_a_dry_run_is_measured_too(tmp_path: Path) -> None:
    save(tmp_path, network())
    found = as_json("model.onnx", "--ratio", "0", "--bench", "--dry-run", cwd=tmp_path)
    told = found["latency"]
    assert set(told["models"]) == {"source", "pruned"}
    assert (told["threads"], told["batch"], told["clock"]) == (1, 1, "wall")
    assert files(tmp_path) == {"model.onnx"}


REFUSED = {
    "a number": (("--latency", "3"), "is no latency"),
    "slower": (("--speedup", "0.5x"), "is no speed-up"),
    "two targets": (("--latency", "3ms", "--ratio", "0.4"), "two targets"),
    "no alignment": (("--latency", "0.5x", "--align", "off"), "contradict each other"),
    "out of reach": (("--latency", "0.01us"), "was measured at"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_met_is_refused(tmp_path: Path, case: str) -> None:
    given, said = REFUSED[case]
    save(tmp_path, network())
    done = onnxprune("model.onnx", *given, "--cache", "off", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert files(tmp_path) == {"model.onnx"}
