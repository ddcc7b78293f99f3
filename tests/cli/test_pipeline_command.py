"""``--then``, thresholds and ``--repair`` from the command line, on a trained network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, as_json, onnxprune

FIXTURE = ROOT / "fixtures/vgg_fashion.onnx"
PIPELINE = ("--criterion", "entropy:0.3", "--then", "correlation:0.8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pipeline")
    images = np.random.default_rng(0).standard_normal((48, 1, 28, 28)).astype(np.float32)
    np.savez(made / "images.npz", image=images)
    return made


@pytest.fixture(scope="module")
def report(folder: Path) -> dict:
    return as_json(
        FIXTURE, *PIPELINE, "--data", "images.npz", "--repair", "merge", "-o", "small.onnx", cwd=folder
    )


def test_importance_first_and_redundancy_second(report: dict) -> None:
    assert [(own["name"], own["threshold"]) for own in report["settings"]["criteria"]] == [
        ("entropy", 0.3),
        ("correlation", 0.8),
    ]
    assert report["settings"]["target"] == {"criterion": "entropy:0.3 --then correlation:0.8"}
    removed = np.array([layer["removed_by"] for layer in report["layers"]])
    assert removed.sum(axis=0).min() >= 0
    assert removed[:, 1].sum() > 0
    for layer, by in zip(report["layers"], removed, strict=True):
        assert by.sum() == layer["channels"][0] - layer["channels"][1]


def test_the_repair_is_reported_behind_the_verified_cut(report: dict, folder: Path) -> None:
    assert report["verification"]["masked_equivalence"]["passed"]
    assert report["settings"]["repair"] == report["repair"]["method"] == "merge"
    before, after = report["repair"]["output_error"]
    assert after < before
    (folder / "small.json").write_text(json.dumps(report))
    checked = onnxprune("verify", FIXTURE, "small.onnx", "small.json", cwd=folder)
    assert checked.returncode == 0, checked.stdout
    assert "repaired" in checked.stdout


def test_the_terminal_names_both_criteria(folder: Path) -> None:
    done = onnxprune(
        FIXTURE, *PIPELINE, "--data", "images.npz", "--repair", "none", "-o", "plain.onnx", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert "--criterion entropy:0.3 --then correlation:0.8" in done.stdout
    assert "entropy:0.3, then correlation:0.8" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--criterion", "l1", "--then", "cosine"), "How much to prune is missing"),
        (("--criterion", "random:0.5"), "has no threshold"),
        (("--criterion", "correlation:8", "--data", "images.npz"), "no absolute correlation"),
        (("--ratio", "0.3", "--repair", "obs"), "there are none"),
        (("--ratio", "0.3", "--repair", "all"), "there is no repair 'all'"),
        (("--ratio", "0.3", "--then", "l2", "--scoring", "greedy"), "greedy"),
    ],
)
def test_what_does_not_go_together(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    done = onnxprune(FIXTURE, *arguments, cwd=folder)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert "bug" not in done.stderr
