"""Runs the command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    """What the process sees: this checkout, a fixed width, no colours by accident."""
    own = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR", "ONNXPRUNE_DEBUG")}
    return {**own, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **more}


def onnxprune(*arguments: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """The finished process; its output is text."""
    return subprocess.run(
        [sys.executable, "-m", "onnxprune", *map(str, arguments)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        errors="strict",
        check=False,
    )


def as_json(*arguments: object, cwd: Path | None = None, code: int = 0) -> dict:
    """The one object that ``--json`` prints."""
    done = onnxprune(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)
