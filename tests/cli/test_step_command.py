"""Steps and training on the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import as_json, environment, onnxprune
from small_networks import network

from onnxprune import load_model
from onnxprune.evaluation import predictor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A network, and random images with what it says about them."""
    onnx.save(network(), tmp_path / "source.onnx")
    images = np.random.default_rng(0).standard_normal((160, 3, 8, 8)).astype(np.float32)
    found = predictor(load_model(network()))({"image": images})
    np.savez(tmp_path / "train.npz", x=images, y=np.asarray(next(iter(found.values()))).argmax(axis=1))
    return tmp_path


PLAIN = ("--ratio", "0.5", "--criterion", "l1", "--threads", "1")


@pytest.mark.frontends
def test_steps_with_training(folder: Path) -> None:
    pytest.importorskip("torch")
    options = ("--data", "train.npz:x,y", "--samples", "40", "--holdout", "40", "--repair", "bias")
    train = (
        "--finetune",
        "1",
        "--batch",
        "32",
        "--lr",
        "0.002",
        "--steps",
        "2",
        "--step-schedule",
        "geometric",
    )
    files = ("--report", "report.html", "--report", "report.md", "--report", "report.json")
    done = onnxprune("source.onnx", *PLAIN, *options, *train, *files, "-o", "small.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2 steps, geometric · 1 epoch of training a step" in " ".join(done.stdout.split())
    assert done.stdout.count("✓ trained") == 2
    assert "accuracy %, cut" in done.stdout
    assert "## Steps" in (folder / "report.md").read_text()
    page = (folder / "report.html").read_text()
    assert "Steps and training" in page
    assert page.count('class="course"') == 2
    assert not (folder / "small.run").exists()
    assert onnxprune("verify", "source.onnx", "small.onnx", "report.json", cwd=folder).returncode == 0


def test_a_run_folder_is_kept(folder: Path) -> None:
    report = as_json("source.onnx", *PLAIN, "--steps", "2", "--run-folder", "run", cwd=folder)
    assert [row["step"] for row in report["steps"]] == [1, 2]
    (own,) = (folder / "run").iterdir()
    assert {path.name for path in own.iterdir()} == {"step1.json", "step1.onnx"}


@pytest.mark.slow
@pytest.mark.frontends
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_a_stopped_run_goes_on_to_the_same_bytes(folder: Path, number: int, code: int) -> None:
    pytest.importorskip("torch")
    options = (
        "--data",
        "train.npz:x,y",
        "--samples",
        "40",
        "--holdout",
        "40",
        "--repair",
        "bias",
        "--steps",
        "2",
    )
    train = ("--finetune", "40", "--batch", "32", "--lr", "0.0001", "--save-every", "0")
    given = [str(own) for own in ("source.onnx", *PLAIN, *options, *train)]
    command = [sys.executable, "-m", "onnxprune", *given, "-o", "killed.onnx"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while process.poll() is None and not list(folder.glob("killed.run/*/training2/checkpoint.pt")):
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate()
    assert process.returncode == code, told
    assert ("goes on where it stopped" in told) == (number != signal.SIGKILL)
    assert not (folder / "killed.onnx").exists()
    again = onnxprune(*given, "-o", "killed.onnx", "-v", cwd=folder)
    assert again.returncode == 0, again.stderr
    assert "step 1 of 2" not in again.stderr
    assert onnxprune(*given, "-o", "whole.onnx", cwd=folder).returncode == 0
    assert (folder / "killed.onnx").read_bytes() == (folder / "whole.onnx").read_bytes()


WRONG = [
    (("--lr", "0.1"), "--lr is about training"),
    (("--finetune", "1"), "Training needs samples"),
    (("--finetune", "x"), "--finetune"),
    (("--steps", "2", "--step-schedule", "cosine"), "cosine"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_makes_no_sense_leaves_nothing(folder: Path, options: tuple[str, ...], message: str) -> None:
    before = set(folder.iterdir())
    done = onnxprune("source.onnx", *PLAIN, *options, cwd=folder)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
    assert set(folder.iterdir()) == before
