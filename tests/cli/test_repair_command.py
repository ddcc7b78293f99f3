"""Repair on the command line: what the data allow is done, and the report says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from command import as_json, onnxprune
from small_networks import network, save

from onnxprune import prune
from onnxprune.api.job import open_job
from onnxprune.api.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, network())
    images = np.random.default_rng(0).standard_normal((48, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "images.npz", x=images)
    return tmp_path


def test_data_bring_the_criterion_the_scope_and_the_repair(folder: Path) -> None:
    report = as_json("model.onnx", "--macs", "0.7x", "--data", "images.npz", "--threads", "1", cwd=folder)
    settings, repair = report["settings"], report["repair"]
    assert (settings["criterion"]["name"], settings["scope"], settings["repair"]) == (
        "obs",
        "global",
        "lstsq",
    )
    assert (repair["method"], repair["asked"]) == ("lstsq", "auto")
    assert 0 < repair["samples"] <= 48
    assert {row["choice"] for row in repair["layers"]} <= {"fitted", "constant term"}
    before, after = repair["output_error"]
    assert after < before
    before, after = report["totals"]["macs"]
    assert after <= 0.7 * before
    assert report["verification"]["masked_equivalence"]["passed"]
    onnx.checker.check_model(str(folder / "model.pruned.onnx"), full_check=True)


def test_the_terminal_tells_it_once(folder: Path) -> None:
    options = ("--macs", "0.7x", "--data", "images.npz", "--threads", "1", "-v")
    done = onnxprune("model.onnx", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "obs · global scope" in done.stdout
    assert "repaired  lstsq, " in done.stdout
    assert "no weight was retrained" not in done.stdout
    assert done.stderr.count("repairing") == 1
    assert done.stderr.count("measuring activations") == 1


@pytest.mark.parametrize(("asked", "said"), [("obs", "obs"), ("lstsq", "lstsq"), ("none", "none")])
def test_a_method_by_name(folder: Path, asked: str, said: str) -> None:
    options = (
        "--ratio",
        "0.3",
        "--data",
        "images.npz",
        "--repair",
        asked,
        "--align",
        "off",
        "--threads",
        "1",
    )
    report = as_json("model.onnx", *options, cwd=folder)
    assert report["settings"]["repair"] == said
    assert bool(report["repair"]) == (said != "none")


@pytest.mark.parametrize("method", ["lstsq", "obs"])
def test_what_needs_data_says_so(folder: Path, method: str) -> None:
    done = onnxprune("model.onnx", "--ratio", "0.3", "--repair", method, cwd=folder)
    assert done.returncode == 2
    assert f"--repair {method}" in done.stderr
    assert "--data" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "model.pruned.onnx").exists()


def test_samples_of_another_shape_are_an_input_error(folder: Path) -> None:
    np.savez(folder / "odd.npz", x=np.zeros((8, 2, 8, 8), np.float32))
    for criterion in ("l1", "obs"):
        options = ("--ratio", "0.3", "--data", "odd.npz", "--criterion", criterion)
        done = onnxprune("model.onnx", *options, cwd=folder)
        assert done.returncode == 2, done.stdout
        assert "Traceback" not in done.stderr


def test_the_same_command_gives_the_same_bytes(folder: Path) -> None:
    for name in ("one.onnx", "two.onnx"):
        options = ("--macs", "0.6x", "--data", "images.npz", "-o", name, "--threads", "1", "-q")
        assert onnxprune("model.onnx", *options, cwd=folder).returncode == 0
    assert (folder / "one.onnx").read_bytes() == (folder / "two.onnx").read_bytes()


DATA = np.zeros((4, 3, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("given", "criterion", "scope", "repair"),
    [
        ({"macs": "0.5x"}, "l1", "local", "none"),
        ({"macs": "0.5x", "data": DATA}, "obs", "global", "auto"),
        ({"params": "0.5x", "data": DATA}, "obs", "global", "auto"),
        ({"ratio": 0.5, "data": DATA}, "obs", "local", "auto"),
        ({"macs": "0.5x", "data": DATA, "criterion": "l1"}, "l1", "local", "auto"),
        ({"macs": "0.5x", "data": DATA, "scope": "local"}, "obs", "local", "auto"),
        ({"macs": "0.5x", "data": DATA, "repair": "none"}, "obs", "global", "none"),
    ],
)
def test_defaults(given: dict, criterion: str, scope: str, repair: str) -> None:
    job = open_job(Settings(**given))
    assert (job.criterion.name, job.scope, job.repair) == (criterion, scope, repair)


def test_a_repair_that_does_not_help_is_taken_back(folder: Path) -> None:
    """Only one sample: nothing can be fitted and checked."""
    data = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    result = prune(network(), ratio=0.3, data=data, criterion="l1", align="off", threads=1, holdout=0)
    if result.report.settings["repair"] == "none":
        assert any("taken back" in text for text in result.report.warnings)
    else:
        before, after = result.report.repair["output_error"]
        assert after < before
