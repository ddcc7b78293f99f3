"""The gate that the page on pipelines shows is run: it lets a good model pass and stops others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onnxprune.cli.app import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci_gate.md").read_text(encoding="utf-8")
FIXTURE = ROOT / "fixtures/mlp_fashion.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in use, a pruned one that is right on these samples, and the gate without its clock."""
    import onnxruntime as ort

    images = np.random.default_rng(0).random((64, 1, 28, 28)).astype(np.float32)
    (tmp_path / "model.onnx").write_bytes(FIXTURE.read_bytes())
    assert (
        run([str(tmp_path / "model.onnx"), "--ratio", "0.5", "-q", "-o", str(tmp_path / "small.onnx")]) == 0
    )
    session = ort.InferenceSession(tmp_path / "small.onnx", providers=["CPUExecutionProvider"])
    (name,) = (value.name for value in session.get_inputs())
    labels = [session.run(None, {name: image[None]})[0].argmax() for image in images]
    np.savez(tmp_path / "test.npz", x=images, y=labels)
    script = re.search(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert script
    (tmp_path / "gate.sh").write_text(
        script[1].replace("--seconds 5 --at-most 0.9x", "--seconds 0.1 --at-most 100x")
    )
    shim = tmp_path / "onnxprune"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m onnxprune "$@"\n')
    shim.chmod(0o755)
    return tmp_path


def gated(folder: Path, source: str, candidate: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "gate.sh", source, candidate, "test.npz"],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_good_model_passes(folder: Path) -> None:
    done = gated(folder, "model.onnx", "small.onnx")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["accuracy: exit code 0", "cost: exit code 0"]
    assert '"missed": []' in (folder / "accuracy.json").read_text()


def test_a_model_that_is_worse_and_larger_is_stopped(folder: Path) -> None:
    done = gated(folder, "small.onnx", "model.onnx")
    assert done.returncode == 1, done.stderr
    assert "missed: --max-drop 2: accuracy of model.onnx falls by" in done.stderr
    assert "missed: --max-size 0.7x: model.onnx has" in done.stderr


def test_a_question_that_cannot_be_answered_stops_it_too(folder: Path) -> None:
    assert gated(folder, "model.onnx", "missing.onnx").returncode == 2


def test_the_commands_of_the_table_can_be_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    asked = [text.split() for text in re.findall(r"`onnxprune (evaluate [^`]*|bench [^`]*)`", PAGE)]
    assert len(asked) == 7
    for words in asked:
        if words[0] == "bench" and len([word for word in words if word.endswith(".onnx")]) > 1:
            continue  # the gate itself measures two models
        quick = ["--seconds", "0.1"] if words[0] == "bench" else []
        assert run([*words, *quick, "-q"]) in (0, 1), words
