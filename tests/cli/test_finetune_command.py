"""``onnxprune finetune`` as a process: files, reports, kill and resume, several processes."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import environment
from small_networks import files, network

from onnxprune.cli import main

pytest.importorskip("torch")

pytestmark = pytest.mark.frontends

TRAIN = ("--train-data", "train.npz", "--teacher", "source.onnx", "--batch", "32", "--lr", "0.01")
QUICK = {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source, its pruned copy, and samples that the source labels itself."""
    import onnxruntime as ort

    folder = tmp_path_factory.mktemp("finetune")
    onnx.save(network(), folder / "source.onnx")
    images = np.random.default_rng(0).standard_normal((256, 3, 8, 8)).astype(np.float32)
    session = ort.InferenceSession(folder / "source.onnx", providers=["CPUExecutionProvider"])
    labels = session.run(None, {"image": images})[0].argmax(axis=1)
    np.savez(folder / "train.npz", x=images, y=labels)
    pruned = str(folder / "pruned.onnx")
    assert main([str(folder / "source.onnx"), "--ratio", "0.3", "--align", "off", "-o", pruned, "-q"]) == 0
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    for name in ("source.onnx", "pruned.onnx", "train.npz"):
        (tmp_path / name).symlink_to(made / name)
    return tmp_path


def test_a_model_is_trained_and_accounted_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(folder)
    options = ("--epochs", "3", "--run-folder", "run", "--report", "r.json")
    monkeypatch.chdir(folder)
    assert main(["finetune", "pruned.onnx", *TRAIN, *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert files(folder) - before == {"pruned.finetuned.onnx", "r.json", "run", "run/metrics.csv"}
    assert json.loads((folder / "r.json").read_text()) == found
    training = found["training"]
    assert training["metric"] == "accuracy"
    assert len(training["history"]) == 4
    assert training["best"] > 0
    assert training["account"]["settings"]["lr"] == 0.01
    rows = list(csv.DictReader((folder / "run" / "metrics.csv").read_text().splitlines()))
    assert [float(row["accuracy"]) for row in rows] == [e["metric"] for e in training["history"]]
    onnx.checker.check_model(str(folder / "pruned.finetuned.onnx"))
    one, other = (onnx.load(folder / n) for n in ("pruned.onnx", "pruned.finetuned.onnx"))
    assert [n.name for n in one.graph.node] == [n.name for n in other.graph.node]
    assert one.graph.input == other.graph.input


@pytest.mark.parametrize(("features", "said"), [("[de]", True), ("none", False)])
def test_the_summary_says_how_many_inner_values_are_compared(
    folder: Path,
    features: str,
    said: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(["finetune", "source.onnx", *TRAIN, "--epochs", "0.2", "--features", features]) == 0
    assert ("inner values like the teacher's: 2" in capsys.readouterr().out) is said


@pytest.mark.parametrize("columns", ["60", "100"])
def test_the_summary_fits(
    folder: Path, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["finetune", "pruned.onnx", *TRAIN, "--epochs", "1", "-v"]) == 0
    told = capsys.readouterr()
    assert "epoch 1: loss" in told.err
    assert "on samples held back" in told.out
    assert all(len(line) <= int(columns) for line in told.out.splitlines())
    assert files(folder) == {"source.onnx", "pruned.onnx", "train.npz", "pruned.finetuned.onnx"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "--train-data"),
        (("--train-data", "absent.npz"), "absent.npz"),
        (("--train-data", "train.npz:x"), "no labels"),
        ((*TRAIN, "--augment", "spin"), "spin"),
        ((*TRAIN, "-o", "source.onnx"), "source model"),
        ((*TRAIN, "--report", "r.html"), ".json"),
        ((*TRAIN, "--optimizer", "adamm"), "adamw"),
        ((*TRAIN, "--tensorboard"), "--run-folder"),
    ],
)
def test_mistakes_are_told(
    folder: Path,
    options: Sequence[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = files(folder)
    assert main(["finetune", "pruned.onnx", *options, "--epochs", "1"]) == 2
    assert told in capsys.readouterr().err
    assert files(folder) == before


def test_killed_at_any_time_it_goes_on_to_the_same_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    options = (*TRAIN, "--epochs", "6", "--augment", "flip,crop=1", "--save-every", "0", "--threads", "1")
    options = (*options, "--mixup", "0.2", "--cutmix", "1", "--mirror", "--swa", "0.7", "--keep", "last")
    command = ["finetune", "pruned.onnx", *options]
    checkpoint = folder / "cut.run" / "checkpoint.pt"
    started = [sys.executable, "-m", "onnxprune", *command, "-o", "cut.onnx"]
    process = subprocess.Popen(started, cwd=folder, env=environment(**QUICK))
    seen = _wait_for_saves(checkpoint, process, 12)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert seen
    assert checkpoint.is_file()
    assert not (folder / "cut.onnx").exists()
    assert main([*command, "-o", "whole.onnx"]) == 0
    assert main([*command, "--seed", "1", "-o", "cut.onnx"]) == 2
    assert "--restart" in capsys.readouterr().err
    assert main([*command, "-o", "cut.onnx", "--report", "r.json", "-q"]) == 0
    account = json.loads((folder / "r.json").read_text())["training"]["account"]
    assert 0 < account["resumed_at_step"] < account["steps"]
    assert (folder / "cut.onnx").read_bytes() == (folder / "whole.onnx").read_bytes()
    assert not (folder / "cut.run").exists()


def _wait_for_saves(path: Path, process: subprocess.Popen, count: int) -> bool:
    """Wait until a file was replaced so often."""
    seen: set[tuple[int, int]] = set()
    while process.poll() is None and len(seen) < count:
        try:
            seen.add((path.stat().st_ino, path.stat().st_mtime_ns))
        except FileNotFoundError:
            time.sleep(0.005)
    return len(seen) >= count


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.slow)],
)
def test_a_signal_says_how_to_go_on(folder: Path, number: int, code: int) -> None:
    options = (*TRAIN, "--epochs", "2000", "--save-every", "0.2")
    command = [sys.executable, "-m", "onnxprune", "finetune", "pruned.onnx", *options]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(**QUICK), stderr=subprocess.PIPE, encoding="utf-8"
    )
    folder_made = folder / "pruned.finetuned.run"
    while process.poll() is None and not (folder_made / "checkpoint.pt").exists():
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == code, told
    assert "goes on where it stopped" in told
    assert "Traceback" not in told
    assert (folder_made / "checkpoint.pt").is_file()
    assert not (folder / "pruned.finetuned.onnx").exists()


@pytest.mark.parametrize("more", [(), ("--cutmix", "1", "--mirror", "--swa", "0.5")])
def test_two_processes_have_the_loss_curve_of_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.chdir(folder)
    options = ("--epochs", "2", "--augment", "flip,crop=1", "--mixup", "0.2", "--batch", "31")
    # sums of other parts are rounded differently, which bfloat16 and large steps make more of
    options = (*options, "--precision", "fp32", "--lr", "0.0001", *more, "--report")
    command = ["finetune", "pruned.onnx", *TRAIN, *options]
    assert main([*command, "one.json", "-o", "one.onnx", "-q"]) == 0
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    own = {k: v for k, v in environment(**QUICK).items() if k not in ("RANK", "WORLD_SIZE")}
    both = subprocess.run(
        [*launch, "-m", "onnxprune", *command, "two.json", "-o", "two.onnx"],
        cwd=folder,
        env=own,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert both.returncode == 0, both.stderr
    assert both.stdout.count("on samples held back") == 1
    one, two = (json.loads((folder / n).read_text())["training"] for n in ("one.json", "two.json"))
    assert (one["account"]["processes"], two["account"]["processes"]) == (1, 2)
    for key in ("loss", "validation_loss"):
        curves = [[epoch[key] for epoch in own["history"][1:]] for own in (one, two)]
        assert curves[1] == pytest.approx(curves[0], rel=1e-3)
        assert more or curves[0][1] < curves[0][0]
    assert [e["metric"] for e in one["history"]] == pytest.approx(
        [e["metric"] for e in two["history"]], abs=0.05
    )


def test_tensorboard(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    code = main(["finetune", "pruned.onnx", *TRAIN, "--epochs", "1", "--tensorboard", "--run-folder", "run"])
    if code == 2:
        assert 'pip install "onnxprune[tensorboard]"' in capsys.readouterr().err
        assert not (folder / "pruned.finetuned.onnx").exists()
    else:
        assert list((folder / "run" / "tensorboard").glob("events*"))
