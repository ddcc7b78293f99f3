"""What goes wrong: one line, a way out, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import environment, onnxprune
from onnx import numpy_helper
from small_networks import files, network, save

USAGE = {
    "no target": ([], "--ratio 0.4"),
    "two targets": (["--ratio", "0.4", "--macs", "0.5x"], "--ratio and --macs"),
    "ratio of one": (["--ratio", "1"], "--ratio 1"),
    "ratio that is no number": (["--ratio", "much"], "--ratio much"),
    "negative ratio": (["--ratio", "-0.1"], "--ratio -0.1"),
    "bad budget": (["--macs", "2Q"], "--macs 2Q"),
    "budget out of reach": (["--params", "10"], "--params 10"),
    "unknown option": (["--rato", "0.4"], "--ratio"),
    "unknown criterion": (["--ratio", "0.4", "--criterion", "l11"], "'l1'"),
    "criterion that cannot be imported": (
        ["--ratio", "0.4", "--criterion", "nowhere:score"],
        "nowhere:score",
    ),
    "unknown reduction": (["--ratio", "0.4", "--reduction", "meen"], "mean"),
    "unknown scope": (["--ratio", "0.4", "--scope", "globl"], "global"),
    "unknown scoring": (["--ratio", "0.4", "--scoring", "fast"], "greedy"),
    "bad alignment": (["--ratio", "0.4", "--align", "0"], "--align 0"),
    "glob without a match": (["--ratio", "0.4", "--exclude", "convolution*"], "conv1"),
    "layer ratio without a ratio": (["--ratio", "0.4", "--layer-ratio", "conv1"], "GLOB=R"),
    "only a layer ratio": (["--layer-ratio", "conv1=0.5"], "--ratio 0"),
    "no threads": (["--ratio", "0.4", "--threads", "0"], "--threads 0"),
    "seed that is no number": (["--ratio", "0.4", "--seed", "x"], "--seed"),
    "report of an unknown form": (["--ratio", "0.4", "--report", "r.pdf"], ".json, .md or .html"),
    "report over the model": (["--ratio", "0.4", "-o", "r.json", "--report", "r.json"], "twice"),
    "report into nowhere": (["--ratio", "0.4", "--report", "no/r.json"], "no/r.json"),
    "output over the input": (["--ratio", "0.4", "-o", "model.onnx"], "never overwritten"),
    "output into nowhere": (["--ratio", "0.4", "-o", "no/out.onnx"], "'no'"),
    "output that is a folder": (["--ratio", "0.4", "-o", "."], "folder"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("errors")
    save(made, network())
    return made


@pytest.mark.parametrize("case", USAGE)
def test_usage(folder: Path, case: str) -> None:
    arguments, said = USAGE[case]
    done = onnxprune("model.onnx", *arguments, cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert [line.split(":")[0] for line in lines] in (["error"], ["error", "hint"])
    assert done.stdout == ""
    assert files(folder) == {"model.onnx"}


INPUTS = {
    "missing": (None, "does not exist"),
    "empty": (b"", "empty"),
    "not a model": (b"hello", "not"),
    "a Keras file": (b"\x89HDF\r\n", "Keras"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_input(tmp_path: Path, case: str) -> None:
    content, said = INPUTS[case]
    path = tmp_path / "given.onnx"
    if content is not None:
        path.write_bytes(content)
    done = onnxprune(path, "--ratio", "0.4")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) <= {"given.onnx"}


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    model = network()
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[0, 0, 0, :2] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "conv1.weight"))
    done = onnxprune(save(tmp_path, model), "--ratio", "0.4")
    assert done.returncode == 2
    assert "'conv1.weight' has 2" in done.stderr


def test_errors_as_json(folder: Path) -> None:
    done = onnxprune("model.onnx", "--json", "--ratio", "2", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert set(found) == {"error", "hint", "code"}
    assert found["code"] == 2
    assert "--ratio 2" in found["error"]


def test_words_that_look_like_verbs(folder: Path) -> None:
    meant = onnxprune("inspct", "model.onnx", cwd=folder)
    assert meant.returncode == 2
    assert "onnxprune inspect" in meant.stderr
    later = onnxprune("prune", "model.onnx", cwd=folder)
    assert later.returncode == 2
    assert "--ratio 0.4" in later.stderr


def test_no_arguments_show_the_help_and_are_an_error() -> None:
    done = onnxprune()
    assert done.returncode == 2
    assert "--ratio" in done.stdout


def test_tracebacks_are_there_for_those_who_ask(folder: Path) -> None:
    done = onnxprune("model.onnx", "--ratio", "2", cwd=folder, ONNXPRUNE_DEBUG="1")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_a_report_that_cannot_be_written_takes_the_model_with_it(folder: Path) -> None:
    name = "r" * 245 + ".json"  # a legal name, but not for the temporary file beside it
    done = onnxprune("model.onnx", "--ratio", "0.4", "--report", name, cwd=folder)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert files(folder) == {"model.onnx"}


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    save(tmp_path, network())
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "def score(group, weights):\n"
        "    pathlib.Path('started').touch()\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "onnxprune", "model.onnx", "--ratio", "0.4", "--criterion", "slow:score"]
    with subprocess.Popen(
        [*command, "--report", "r.json"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        while not (tmp_path / "started").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate()
    assert process.returncode == 130, complained
    assert said == ""
    assert "Traceback" not in complained
    assert "interrupted" in complained
    assert files(tmp_path) == {"model.onnx", "slow.py", "started"}


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    command = [sys.executable, "-m", "onnxprune", "model.onnx", "--ratio", "0.4", "--dry-run"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complained = process.stderr.read()
    assert process.returncode == 0, complained
    assert complained == b""


def test_names_that_a_terminal_would_act_on(tmp_path: Path) -> None:
    path = save(tmp_path, network(first="evil\x1b[2J\nname | `x` \u202e"))
    given = (path, "--ratio", "0.5", "--report", tmp_path / "r.md")
    for run in (onnxprune(*given, PYTHONIOENCODING="ascii"), onnxprune("inspect", path)):
        assert run.returncode == 0, run.stderr
        assert "\x1b" not in run.stdout
        assert "\u202e" not in run.stdout
        assert "evil\\x1b[2J\\nname" in run.stdout
    rows = [line for line in (tmp_path / "r.md").read_text().splitlines() if "evil" in line]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 7
    assert onnx.load(tmp_path / "model.pruned.onnx").graph.node[0].name == "evil\x1b[2J\nname | `x` \u202e"
