"""``onnxprune evaluate`` as a process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from command import as_json
from onnx import numpy_helper
from small_networks import network, save

from onnxprune.cli import main

IMAGES = np.random.default_rng(1).standard_normal((120, 3, 8, 8)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, one that is a little worse, and samples of which the first is right in 90 %."""
    model = network()
    save(tmp_path, model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    labels = session.run(None, {"image": IMAGES})[0].argmax(axis=1)
    labels[:12] = (labels[:12] + 1) % 10
    np.savez(tmp_path / "labelled.npz", x=IMAGES, y=labels)
    np.savez(tmp_path / "images.npz", x=IMAGES)
    head = next(tensor for tensor in model.graph.initializer if tensor.name == "head.weight")
    noise = np.random.default_rng(2).standard_normal(head.dims).astype(np.float32)
    head.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(head) + 0.2 * noise, head.name))
    onnx.save(model, tmp_path / "worse.onnx")
    return tmp_path


def test_models_side_by_side(folder: Path) -> None:
    found = as_json("evaluate", "model.onnx", "worse.onnx", "--data", "labelled.npz", cwd=folder)
    first, second = found["models"]
    assert found["teacher"] == first["model"] == "model.onnx"
    assert (first["reference"], second["reference"]) == (True, False)
    assert first["samples"] == 120
    assert first["metrics"]["accuracy"]["value"] == 0.9
    low, high = first["metrics"]["accuracy"]["interval"]
    assert 0.8 < low < 0.9 < high < 0.96
    assert list(second["metrics"]) == ["accuracy", "balanced_accuracy", "log_loss", "agreement", "sqnr"]
    assert 0.3 < second["metrics"]["agreement"]["value"] < 1
    assert 5 < second["metrics"]["sqnr"]["value"] < 30
    assert first["metrics"]["sqnr"]["value"] is None  # infinite: it is compared with itself
    assert "labelled.npz" in first["data"]


@pytest.mark.parametrize("columns", ["60", "80", "100", "140"])
def test_the_table_fits(
    folder: Path, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["evaluate", "model.onnx", "worse.onnx", "--data", "labelled.npz"]) == 0
    told = capsys.readouterr().out
    assert "90.00" in told
    assert ("±" in told) == (int(columns) >= 100)
    assert max(map(len, told.splitlines())) <= max(int(columns), 80)


def test_without_labels_it_compares_with_the_teacher(folder: Path) -> None:
    given = ("evaluate", "worse.onnx", "--teacher", "model.onnx", "--data", "images.npz")
    found = as_json(*given, "--samples", "50", cwd=folder)
    (row,) = found["models"]
    assert set(row["metrics"]) == {"agreement", "sqnr"}
    assert row["samples"] == 50


def test_metrics_can_be_named(folder: Path) -> None:
    given = ("evaluate", "model.onnx", "--data", "labelled.npz", "--metric", "top5", "--metric", "accuracy")
    (row,) = as_json(*given, "--output-name", "logits", cwd=folder)["models"]
    assert list(row["metrics"]) == ["top5", "accuracy"]
    assert row["metrics"]["top5"]["value"] >= 0.9


REFUSED = {
    "no data": (("model.onnx",), "--data"),
    "no labels for a metric": (
        ("model.onnx", "--data", "images.npz", "--metric", "accuracy"),
        "needs labels",
    ),
    "nothing to compare with": (("model.onnx", "--data", "images.npz"), "teacher"),
    "an unknown metric": (("model.onnx", "--data", "labelled.npz", "--metric", "f1"), "no metric 'f1'"),
    "an unknown output": (
        ("model.onnx", "--data", "labelled.npz", "--output-name", "scores"),
        "no output 'scores'",
    ),
    "no such model": (("none.onnx", "--data", "labelled.npz"), "none.onnx"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_said(
    folder: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = REFUSED[case]
    monkeypatch.chdir(folder)
    assert main(["evaluate", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "hint" in told
    assert "Traceback" not in told
