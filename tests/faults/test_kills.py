"""A run that is killed, or told to end, at any moment: what it leaves, and what the next one makes of it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import environment
from small_models import external_model
from small_networks import network, save

TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{12}\.tmp")
IMAGES = np.random.default_rng(1).standard_normal((60, 3, 8, 8)).astype(np.float32)

Children = list[Mapping]


def deaths(folder: Path, kind: str, earlier: str, *arguments: str) -> tuple[Children, Mapping]:
    """What the children left that were stopped, and what the one did that came to its end."""
    command = [sys.executable, Path(__file__).with_name("dying.py"), kind, earlier, *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    *stopped, last = json.loads(done.stdout)
    assert last["code"] == 0
    assert stopped
    return stopped, last["files"]


def beside(folder: Path) -> Path:
    """A model with external data."""
    onnx.save(network(), folder / "model.onnx", save_as_external_data=True, location="model.bin")
    return folder


def small(folder: Path) -> Path:
    """A model in one file, and samples."""
    save(folder, network())
    np.savez(folder / "x.npz", x=IMAGES)
    return folder


FAST = ("--no-verify", "--ratio", "0.5", "--align", "off", "-o", "out.onnx")
REPORTS = ("--report", "r.json", "--report", "r.md", "--report", "r.html")
SCAN = ("--data", "x.npz", "--ratios", "0.5", "--cache", "c", "--threads", "1")
CASES: Mapping[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "several reports": (small, ("model.onnx", *FAST, *REPORTS)),
    "external data": (beside, ("model.onnx", *FAST, "--report", "r.json")),
    "a quantised copy": (small, ("model.onnx", *FAST, "--quantize", "fp16")),
    "a scan": (
        small,
        ("sensitivity", "model.onnx", *SCAN, "--report", "r.json"),
    ),
}


def earlier_output(folder: Path) -> str:
    """Files of the names of the output, that fit each other and nothing else."""
    old = folder / "old"
    old.mkdir()
    external_model(old, location="out.onnx.data", name="out.onnx")
    return "old"


def check_whole(files: Mapping[str, str], complete: Mapping[str, str], start: Mapping[str, str]) -> None:
    """Every file is one of the start or of the end; a model stands beside data that are its own."""
    for name, digest in files.items():
        if match := TEMPORARY.fullmatch(Path(name).name):
            assert str(Path(name).with_name(match[1])) in complete
        elif not name.startswith("c/"):  # a cache grows; that it is whole shows in the next run
            assert digest in (complete.get(name), start.get(name)), name
    for name in start.keys() - complete.keys():
        assert name in files
    model, data = files.get("out.onnx"), files.get("out.onnx.data")
    if data is not None and model is not None:
        ends = [side for side in (complete, start) if side.get("out.onnx") == model]
        assert any(side.get("out.onnx.data") == data for side in ends)


def contents(folder: Path, part: str = "") -> dict[str, str]:
    root = folder / part
    return {
        str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


LONG = pytest.mark.slow


@pytest.mark.parametrize(
    ("case", "replaces"),
    [
        ("several reports", False),
        ("external data", True),
        ("a scan", False),
        pytest.param("several reports", True, marks=LONG),
        pytest.param("external data", False, marks=LONG),
        pytest.param("a quantised copy", False, marks=LONG),
        pytest.param("a quantised copy", True, marks=LONG),
    ],
)
def test_a_kill_leaves_no_part_of_an_output(tmp_path: Path, case: str, replaces: bool) -> None:
    make, arguments = CASES[case]
    make(tmp_path)
    earlier = earlier_output(tmp_path) if replaces else "none"
    start = contents(tmp_path) | (contents(tmp_path, earlier) if replaces else {})
    stopped, complete = deaths(tmp_path, "SIGKILL", earlier, *arguments)
    for child in stopped:
        assert child["code"] == -signal.SIGKILL
        check_whole(child["files"], complete, start)
        assert child["again"] == complete, f"killed before {child['event']}"


@pytest.mark.parametrize(
    ("case", "kind", "code"),
    [
        ("several reports", "SIGINT", 130),
        ("external data", "SIGTERM", 143),
        pytest.param("external data", "SIGINT", 130, marks=LONG),
        pytest.param("a quantised copy", "SIGHUP", 129, marks=LONG),
    ],
)
def test_a_run_that_is_told_to_end_leaves_nothing_unfinished(
    tmp_path: Path, case: str, kind: str, code: int
) -> None:
    make, arguments = CASES[case]
    make(tmp_path)
    start = contents(tmp_path)
    stopped, complete = deaths(tmp_path, kind, "none", *arguments)
    for child in stopped:
        assert child["code"] == code
        event, _, name = child["event"].partition(" ")
        if event == "open" or (name.startswith(".out.onnx") and event == "os.rename"):
            assert child["files"] == start, f"stopped before {child['event']}"
        check_whole(child["files"], complete, start)
        assert not any(TEMPORARY.fullmatch(Path(name).name) for name in child["files"])
        assert child["again"] == complete
