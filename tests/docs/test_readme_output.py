"""What the README shows as output is what the commands print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from onnxprune.plan import fast_grid

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"error [0-9.e-]+,")
"""Rounding errors differ from machine to machine."""

COLUMNS = "92"
SHOWN_ON = 16
"""The grid of channel counts that the README was written with."""


def commands() -> list[tuple[list[str], str | None]]:
    """Arguments of every onnxprune command that stands in a block of its own, and the output shown, if any."""
    found: list[tuple[list[str], str | None]] = []
    for block in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        first, _, rest = block.partition("\n")
        if first.startswith("$ onnxprune "):
            found.append((first.replace("'", "").split()[2:], rest))
        elif first.startswith("onnxprune "):
            found.append((first.replace("'", "").split()[1:], None))
    return found


@pytest.mark.skipif(fast_grid() != SHOWN_ON, reason="the README was written on a processor with another grid")
def test_the_output_is_current(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "fixtures", tmp_path / "fixtures")
    plain = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "NO_COLOR")}
    env = {**plain, "PYTHONPATH": str(ROOT), "COLUMNS": COLUMNS, "PYTHONIOENCODING": "utf-8"}
    assert any(shown for _, shown in commands())
    for arguments, shown in commands():
        done = subprocess.run(
            [sys.executable, "-m", "onnxprune", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if shown is not None:
            assert FIGURE.sub("error", done.stdout).strip() == FIGURE.sub("error", shown).strip()
