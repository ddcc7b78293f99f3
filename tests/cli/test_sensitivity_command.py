"""``onnxprune sensitivity`` and ``--max-drop`` as processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from command import as_json, environment, onnxprune
from small_networks import files, network, save

from onnxprune.cli import main

IMAGES = np.random.default_rng(1).standard_normal((200, 3, 8, 8)).astype(np.float32)
GIVEN = ("sensitivity", "model.onnx", "--data", "labelled.npz", "--ratios", "0.25,0.5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, and samples that it gets right."""
    model = network()
    save(tmp_path, model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    labels = session.run(None, {"image": IMAGES})[0].argmax(axis=1)
    np.savez(tmp_path / "labelled.npz", x=IMAGES, y=labels)
    np.savez(tmp_path / "images.npz", x=IMAGES)
    return tmp_path


def test_a_table_and_everything_else(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    wanted = ("--report", "r.json", "--report", "r.md", "--plot", "p.svg")
    done = onnxprune(*GIVEN, *wanted, "--cache", "c", cwd=folder)
    assert done.returncode == 0, done.stderr
    for said in ("conv1", "conv2", "25 %", "50 %", "accuracy 100.00", "labelled.npz", "written  p.svg"):
        assert said in done.stdout
    found = json.loads((folder / "r.json").read_text())
    assert [row["group"] for row in found["groups"]] == ["conv1", "conv2"]
    assert [point["kept"] for point in found["groups"][0]["points"]] == [24, 16]
    assert found["metric"] == "accuracy"
    assert all(drop > 0 for row in found["groups"] for drop in row["drops"])
    assert "| conv1 |" in (folder / "r.md").read_text()
    assert "<svg" in (folder / "p.svg").read_text()
    assert len(list((folder / "c").iterdir())) == 1


def test_the_same_command_gives_the_same_bytes_from_the_cache(folder: Path) -> None:
    texts = [
        onnxprune(*GIVEN, "--json", "--threads", "1", "--cache", cache, cwd=folder).stdout
        for cache in ("c", "c")
    ]
    assert json.loads(texts[0])["groups"]
    assert texts[0] == texts[1]


def test_the_default_cache_is_the_users(folder: Path) -> None:
    home = folder / "home"
    done = onnxprune(*GIVEN, "-q", cwd=folder, HOME=str(home), XDG_CACHE_HOME=str(home / "cache"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert any(name.startswith("home/") and name.endswith(".json") for name in files(folder))


def test_without_labels_the_choice_of_the_whole_model_counts(folder: Path) -> None:
    found = as_json("sensitivity", "model.onnx", "--data", "images.npz", "--cache", "off", cwd=folder)
    assert found["metric"] == "agreement"
    assert found["baseline"]["metrics"]["agreement"]["value"] == 1
    assert len(found["groups"][0]["points"]) == 5


def test_single_layers_and_other_metrics(folder: Path) -> None:
    found = as_json(*GIVEN, "--include", "conv2", "--metric", "sqnr", "--cache", "off", cwd=folder)
    (row,) = found["groups"]
    assert row["group"] == "conv2"
    assert found["metric"] == "sqnr"
    assert 0 < row["drops"][0] < row["drops"][1]


REFUSED = {
    "no data": (("model.onnx",), "--data"),
    "a ratio that is none": (("model.onnx", "--data", "labelled.npz", "--ratios", "0.5,2"), "--ratios 2"),
    "no ratio": (("model.onnx", "--data", "labelled.npz", "--ratios", "0"), "--ratios"),
    "a metric without labels": (
        ("model.onnx", "--data", "images.npz", "--metric", "accuracy"),
        "needs labels",
    ),
    "a plot of another kind": (
        ("model.onnx", "--data", "images.npz", "--plot", "p.gif"),
        ".svg",
    ),
    "a report of another kind": (("model.onnx", "--data", "images.npz", "--report", "p.txt"), ".md"),
    "an unknown layer": (("model.onnx", "--data", "images.npz", "--include", "fc9"), "fc9"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_said(
    folder: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = REFUSED[case]
    monkeypatch.chdir(folder)
    assert main(["sensitivity", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "hint" in told
    assert "Traceback" not in told


def test_an_interrupted_scan_goes_on_where_it_was(tmp_path: Path) -> None:
    """Interrupted as soon as the first layer is in the cache; the second one is still to come."""
    save(tmp_path, network())
    np.savez(tmp_path / "x.npz", x=np.tile(IMAGES, (15, 1, 1, 1)))
    given = ("sensitivity", "model.onnx", "--data", "x.npz", "--samples", "3000", "--cache", "c")
    command = [sys.executable, "-m", "onnxprune", *given]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while process.poll() is None and not list(tmp_path.glob("c/*.json")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, complained = process.communicate()
    assert process.returncode == 130, complained
    (file,) = tmp_path.glob("c/*")
    assert set(json.loads(file.read_text())["points"]) == {"conv1"}


DROP = ("model.onnx", "--max-drop", "20", "--data", "labelled.npz", "--holdout", "80", "--samples", "120")


def test_max_drop_keeps_its_bound(folder: Path) -> None:
    given = (*DROP, "--criterion", "l1", "--repair", "none", "--align", "off", "--cache", "off")
    report = as_json(*given, cwd=folder)
    bound = report["accuracy"]["max_drop"]
    assert (bound["metric"], bound["bound"], bound["samples"]) == ("accuracy", 20, 120)
    assert 0 < bound["drop"] <= 20
    assert report["accuracy"]["samples"] == 80
    before, after = (report["accuracy"]["stages"][stage] for stage in ("before", "after"))
    held = 100 * (before["accuracy"]["value"] - after["accuracy"]["value"])
    assert bound["drop_held_back"] == pytest.approx(held)
    assert report["totals"]["macs"][1] < report["totals"]["macs"][0]
    assert report["settings"]["target"] == {"max_drop": 20.0}
    assert report["missed"] == []
    assert report["verification"]["masked_equivalence"]["passed"]


def test_max_drop_with_a_repair_and_without_labels(folder: Path) -> None:
    given = ("model.onnx", "--max-drop", "30", "--data", "images.npz", "--samples", "120", "--cache", "off")
    report = as_json(*given, "--criterion", "l2", "--repair", "bias", "--align", "off", cwd=folder)
    assert report["accuracy"]["max_drop"]["metric"] == "agreement"
    assert 0 <= report["accuracy"]["max_drop"]["drop"] <= 30
    assert set(report["accuracy"]["stages"]) == {"after_cut", "after_repair"}


def test_a_bound_of_nothing_removes_nothing_that_counts(folder: Path) -> None:
    given = ("model.onnx", "--max-drop", "0", "--metric", "sqnr", "--data", "images.npz", "--cache", "off")
    report = as_json(*given, "--repair", "none", cwd=folder)
    assert report["totals"]["macs"][0] == report["totals"]["macs"][1]
    assert report["missed"] == []


BAD_DROPS = {
    "no data": (("model.onnx", "--max-drop", "1"), "--max-drop 1 needs samples"),
    "no number": (("model.onnx", "--max-drop", "x", "--data", "labelled.npz"), "--max-drop x"),
    "two targets": (
        ("model.onnx", "--max-drop", "1", "--ratio", "0.4", "--data", "labelled.npz"),
        "--max-drop",
    ),
    "holdout without data": (("model.onnx", "--ratio", "0.4", "--holdout", "10"), "--holdout"),
}


@pytest.mark.parametrize("case", BAD_DROPS)
def test_bounds_that_make_no_sense(
    folder: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = BAD_DROPS[case]
    monkeypatch.chdir(folder)
    assert main(list(arguments)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_accuracy_is_part_of_every_report_with_data(folder: Path) -> None:
    given = ("model.onnx", "--ratio", "0.5", "--data", "labelled.npz", "--samples", "64", "--repair", "none")
    report = as_json(*given, "--criterion", "l1", cwd=folder)
    assert report["accuracy"]["samples"] == 136
    assert "136 of them held back" in report["accuracy"]["data"]
    assert report["accuracy"]["stages"]["before"]["accuracy"]["value"] == 1
    off = as_json(*given, "--criterion", "l1", "--holdout", "0", "-o", "b.onnx", cwd=folder)
    assert off["accuracy"] == {}
