"""A run that is killed, or told to end, at any moment: what it leaves, and what the next one makes of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from command import environment
from leavings import TEMPORARY, but, check_whole, contents
from small_models import external_model
from stopped_runs import CASES, begun

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


def earlier_output(folder: Path) -> str:
    """Files of the names of the output, that fit each other and nothing else."""
    old = folder / "old"
    old.mkdir()
    external_model(old, location="out.onnx.data", name="out.onnx")
    return "old"


LONG = pytest.mark.slow


@pytest.mark.parametrize(
    ("case", "replaces"),
    [
        ("several reports", False),
        ("external data", True),
        ("a scan", False),
        ("samples", False),
        pytest.param("samples", True, marks=LONG),
        pytest.param("a bound on the loss", False, marks=LONG),
        pytest.param("a sweep", False, marks=LONG),
        pytest.param("several reports", True, marks=LONG),
        pytest.param("external data", False, marks=LONG),
        pytest.param("a quantised copy", False, marks=LONG),
        pytest.param("a quantised copy", True, marks=LONG),
    ],
)
def test_a_kill_leaves_no_part_of_an_output(tmp_path: Path, case: str, replaces: bool) -> None:
    own = CASES[case]
    begun(own, tmp_path)
    earlier = earlier_output(tmp_path) if replaces else "none"
    start = contents(tmp_path) | (contents(tmp_path / earlier) if replaces else {})
    stopped, complete = deaths(tmp_path, "SIGKILL", earlier, *own.arguments)
    grows = () if own.settled else own.kept
    for child in stopped:
        assert child["code"] == -signal.SIGKILL
        check_whole(child["files"], complete, start, own.kept)
        assert but(child["again"], grows) == but(complete, grows), f"killed before {child['event']}"


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
    own = CASES[case]
    begun(own, tmp_path)
    start = contents(tmp_path)
    stopped, complete = deaths(tmp_path, kind, "none", *own.arguments)
    for child in stopped:
        assert child["code"] == code
        event, _, name = child["event"].partition(" ")
        if event == "open" or (name.startswith(".out.onnx") and event == "os.rename"):
            assert child["files"] == start, f"stopped before {child['event']}"
        check_whole(child["files"], complete, start, own.kept)
        assert not any(TEMPORARY.fullmatch(Path(name).name) for name in child["files"])
        assert child["again"] == complete
