"""Runs the command line on cases, each in a process of its own with limits on time and memory."""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from fuzzing.bases import ROOT
from fuzzing.cases import Case, case
from fuzzing.outcome import Ended, Outcome, judge

MOST_SECONDS = 30
"""Of processor time; three times as much may pass on the clock before it is called a hang."""
MOST_MEMORY = 2 << 30
"""Bytes of address space beyond what a process has when it starts."""
SAID = ".stdout", ".stderr"
"""Files that take what a run prints."""


def prepare() -> None:
    """Import what every run needs, so that forked processes have it; no session is made here."""
    import onnx.reference.ops  # noqa: F401
    import onnx_graphsurgeon  # noqa: F401
    import onnxruntime  # noqa: F401

    import onnxprune.api
    import onnxprune.api.description
    import onnxprune.report.files
    import onnxprune.report.html
    import onnxprune.report.terminal
    import onnxprune.verification  # noqa: F401
    from onnxprune.cli.app import run as command_line

    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        command_line(["no such file", "--ratio", "0.4"])  # options are parsed by what is imported on use
        command_line(["inspect", "no such file"])
    gc.collect()
    gc.freeze()  # pages that are never written stay shared


def outcome_of(number: int) -> Outcome:
    """Draw a case, run it in a forked process, and judge it."""
    drawn = case(number)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as made:
        return judged(drawn, Path(made))


def judged(drawn: Case, place: Path) -> Outcome:
    """The outcome of a case that is run in a folder."""
    folder = place / "run"
    folder.mkdir()
    for name, content in drawn.files.items():
        (folder / name).write_bytes(content)
    return judge(drawn, run(drawn.arguments, folder), folder)


def run(arguments: tuple[str, ...], folder: Path) -> Ended:
    """The command line in a forked process; what it prints goes to files beside its folder."""
    child = os.fork()
    if not child:
        _child(arguments, folder)
    status, usage = _wait(child)
    code = os.waitstatus_to_exitcode(status)
    said = [(folder.parent / name).read_bytes() for name in SAID]
    unit = 1 if sys.platform == "darwin" else 1024
    return Ended(code, said[0], said[1], usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit)


def run_apart(arguments: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[bytes]:
    """The same as a program of its own, the way users start it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "onnxprune", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )


def _child(arguments: tuple[str, ...], folder: Path) -> None:
    """Never returns."""
    code = 99
    try:
        os.chdir(folder)
        os.environ["COLUMNS"] = "100"
        for target, name in zip((1, 2), SAID, strict=True):
            opened = os.open(folder.parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, target)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", encoding="utf-8") for n in (1, 2))
        _limit()
        from onnxprune.cli.app import run as command_line

        code = command_line(list(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    space = pages * resource.getpagesize() + MOST_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    """The status of a child; it is killed when it takes too long."""
    watched = os.pidfd_open(child)
    try:
        if not select.select([watched], [], [], 3 * MOST_SECONDS)[0]:
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    finally:
        os.close(watched)
    return status, usage


__all__ = ["judged", "outcome_of", "prepare", "run", "run_apart"]
