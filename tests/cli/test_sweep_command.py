"""``onnxprune sweep`` as processes: shared, interrupted, killed, and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from command import environment, onnxprune
from small_networks import network, save

pytest.importorskip("optuna")

from onnxprune.cli import main
from onnxprune.sweep.study import open_study

CRITERIA = '''
import os, pathlib, time
import numpy as np

def meet(group, weights):
    """Scores once two processes are here."""
    pathlib.Path(f"here-{os.getpid()}").touch()
    begin = time.monotonic()
    while len(list(pathlib.Path().glob("here-*"))) < 2 and time.monotonic() - begin < 60:
        time.sleep(0.02)
    return np.arange(group.size)

def hang(group, weights):
    """Never ends the first time."""
    first = pathlib.Path("hanging")
    if not first.exists():
        first.touch()
        time.sleep(600)
    return np.arange(group.size)
'''
GIVEN = (
    *("sweep", "model.onnx", "--data", "data.npz", "--samples", "40", "--holdout", "40", "--repairs", "none"),
    *("--align", "off", "--threads", "1", "--seconds", "0.05", "-o", "out"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model, samples that it gets right, and criteria."""
    model = network()
    save(tmp_path, model)
    images = np.random.default_rng(1).standard_normal((80, 3, 8, 8)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.savez(tmp_path / "data.npz", x=images, y=session.run(None, {"image": images})[0].argmax(axis=1))
    (tmp_path / "own.py").write_text(CRITERIA)
    return tmp_path


def trials(folder: Path) -> list:
    """What the study of the grid holds."""
    storage = open_study(None, folder / "out", "other", ["minimize"])._storage
    name = next(s.study_name for s in storage.get_all_studies() if s.study_name.startswith("grid-"))
    return storage.get_all_trials(storage.get_study_id_from_name(name))


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "onnxprune", *GIVEN, "--no-latency", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_table_and_files(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    wanted = ("--report", "r.md", "--plot", "p.svg", "--quantize", "none,int8", "--ratios", "0.25,0.5")
    done = onnxprune(*GIVEN, *wanted, "--criteria", "l1", cwd=folder)
    assert done.returncode == 0, done.stderr
    for said in ("6 results", "Pareto front", "accuracy %", "latency", "int8", "written  out/sweep.html"):
        assert said in done.stdout
    assert {path.name for path in (folder / "out").glob("sweep.*")} == {
        "sweep.html", "sweep.json", "sweep.csv", "sweep.key.json",
    }  # fmt: skip
    assert "| ratio |" in (folder / "r.md").read_text()
    assert "<svg" in (folder / "p.svg").read_text()
    found = json.loads((folder / "out/sweep.json").read_text())
    assert [row["name"] for row in found["rows"]][-1] == "ratio_0.5_l1_int8"


def test_two_processes_share_a_study(folder: Path) -> None:
    wanted = ("--criteria", "own:meet", "--ratios", "0.1,0.2,0.3,0.4,0.5,0.6", "--json")
    both = [begun(folder, *wanted) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    first, second = (json.loads(out) for out, _ in told)
    assert first["rows"] == second["rows"]
    assert len(first["rows"]) == 1 + 6
    done = [own for own in trials(folder) if own.state.name == "COMPLETE"]
    assert set(Counter(own.user_attrs["config"] for own in done).values()) == {1}
    assert len({own.user_attrs["owner"] for own in done}) == 2  # both contributed


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_trial_that_was_cut_short_is_taken_up_again(folder: Path, sign: int, code: int) -> None:
    wanted = ("--criteria", "l1,own:hang", "--ratios", "0.5", "--json")
    process = begun(folder, *wanted)
    while process.poll() is None and not (folder / "hanging").exists():
        time.sleep(0.02)
    process.send_signal(sign)
    _, complained = process.communicate(timeout=60)
    assert process.returncode == code, complained
    assert ("goes on from here" in complained) == (code == 130)
    assert [path.name for path in (folder / "out/models").iterdir()] == ["ratio_0.5_l1.onnx"]
    begin = len(trials(folder))
    again = begun(folder, *wanted)
    out, complained = again.communicate(timeout=60)
    assert again.returncode == 0, complained
    assert [row["criterion"] for row in json.loads(out)["rows"]] == ["", "l1", "own:hang"]
    assert len(trials(folder)) == begin + 1
    assert not list((folder / "out").rglob("*.tmp"))


REFUSED = {
    "no data": (("sweep", "model.onnx"), "--data"),
    "an empty list": ((*GIVEN, "--ratios", ""), "--ratios"),
    "a span without trials": ((*GIVEN, "--ratios", "0.1:0.5"), "--trials"),
    "no layer": ((*GIVEN, "--layers", ""), "--layers"),
    "an unknown layer": ((*GIVEN, "--layers", "fc9"), "fc9"),
    "a report of another kind": ((*GIVEN, "--report", "r.txt"), ".csv"),
    "a folder that is a file": ((*GIVEN[:-1], "model.onnx"), "model.onnx"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_said(
    folder: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = REFUSED[case]
    monkeypatch.chdir(folder)
    assert main(list(arguments)) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_a_way_without_a_result_is_exit_code_1(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main([*GIVEN, "--no-latency", "--criteria", "l1", "--macs-list", "0.5x,0.0001x"]) == 1
    told = capsys.readouterr().out
    assert "1 without a result" in told
    assert "--macs 0.0001x" in told
