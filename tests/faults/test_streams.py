"""Standard streams that are closed, full or deserted, and what an interrupt leaves of a terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import environment
from small_networks import files, network, save

LINE = "-m onnxprune model.onnx --no-verify --ratio 0.5 -o out.onnx"
FULL = Path("/dev/full")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, network())
    return tmp_path


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    script = line.replace("onnxprune:", f"{sys.executable} {LINE}")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    "line",
    [
        "onnxprune: >&-",
        "onnxprune: <&- >&- 2>&-",
        "onnxprune: -v 2>&1 >&- | true",
        "onnxprune: | true",
        "onnxprune: --help | true",
    ],
)
def test_a_stream_that_is_closed_or_deserted_is_no_error(folder: Path, line: str) -> None:
    done = shell(folder, line)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    if "--help" not in line:
        sound = shell(folder, "onnxprune: -o sound.onnx")
        assert sound.returncode == 0
        assert (folder / "out.onnx").read_bytes() == (folder / "sound.onnx").read_bytes()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("form", ["", "--json"])
def test_a_full_disk_behind_standard_output_is_an_error(folder: Path, form: str) -> None:
    done = shell(folder, f"onnxprune: {form} --report r.json > /dev/full")
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert files(folder) == {"model.onnx"}


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_what_cannot_be_said_changes_nothing(folder: Path) -> None:
    assert shell(folder, "onnxprune: -v 2> /dev/full").returncode == 0
    assert shell(folder, "onnxprune: --scope nowhere 2> /dev/full").returncode == 2
    assert shell(folder, "onnxprune: --scope nowhere -v --json > /dev/full 2>&1").returncode == 2


HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_terminal_is_clean_afterwards(folder: Path, number: int, code: int) -> None:
    """The cursor is there again, the line of the spinner is gone, and what is left is one line."""
    (folder / "slow.py").write_text("import time\ndef score(group, weights):\n    time.sleep(60)\n")
    command = [sys.executable, *LINE.split(), "--criterion", "slow:score"]
    ours, theirs = pty.openpty()
    env = environment(TERM="xterm-256color")
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while b"scoring" not in said and b"planning" not in said and process.poll() is None:
            said += os.read(ours, 4096)
        time.sleep(0.2)
        process.send_signal(number)
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:  # the other side has been closed
                break
    os.close(ours)
    assert process.returncode == code, said
    assert HIDDEN in said
    assert said.rindex(SHOWN) > said.rindex(HIDDEN)
    last = said[said.rindex(SHOWN) :]
    assert b"error:" in last
    assert b"Traceback" not in said
    assert last.endswith(b"\n")
    assert files(folder) - {"slow.py"} == {"model.onnx"}
