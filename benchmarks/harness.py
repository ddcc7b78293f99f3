"""What the benchmarks share: child processes that are measured, and the pages that results go to."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from onnxprune.runtime.machine import machine

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "benchmarks"
_PACKAGES = ("onnx", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Measured:
    """A child process that has ended well.

    Attributes:
        seconds: from its start to its exit, the start of Python and all imports included.
        processor_seconds: of all its threads, in the program and in the system.
        peak_bytes: largest resident set, pages of mapped files included.
        output: what it printed.
    """

    seconds: float
    processor_seconds: float
    peak_bytes: int
    output: str


def measure(arguments: Sequence[str | Path], *, allowed: Sequence[int] = (0,)) -> Measured:
    """Run a command and measure it.

    Raises:
        RuntimeError: it exits with another code than those allowed; its last words are in the message.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begin = time.perf_counter()
        process = subprocess.Popen([str(a) for a in arguments], stdout=out, stderr=err, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in allowed:
            raise RuntimeError(f"{process.args} exits with {process.returncode}: {err.read()[-1500:]}")
        unit = 1 if sys.platform == "darwin" else 1024
        spent = usage.ru_utime + usage.ru_stime
        return Measured(seconds, spent, usage.ru_maxrss * unit, out.read())


def prune(model: Path, output: Path, *options: str) -> tuple[Measured, dict[str, Any]]:
    """Run the command line on a model; returns its measure and its report."""
    command = [sys.executable, "-m", "onnxprune", model, "-o", output, "--json", *options]
    measured = measure(command, allowed=(0, 1))
    return measured, json.loads(measured.output)


def exports(folder: Path, names: Sequence[str], variants: Sequence[str]) -> dict[str, Path]:
    """For each network the first of the variants that the folder holds; absent ones are named on stderr."""
    found = {}
    for name in names:
        paths = [folder / f"{name}_{variant}.onnx" for variant in variants]
        present = [path for path in paths if path.is_file()]
        if present:
            found[name] = present[0]
        else:
            print(f"{name}: no {paths[0].name} in {folder}", file=sys.stderr)
    return found


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [" | ".join(header), " | ".join(["---"] + ["---:"] * (len(header) - 1))]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def write_page(name: str, title: str, *parts: str) -> Path:
    """Write ``docs/benchmarks/<name>.md``: the parts, then command, machine and versions."""
    PAGES.mkdir(parents=True, exist_ok=True)
    command = " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_shown, sys.argv[1:])])
    text = "\n\n".join([f"# {title}", *parts, f"Command: `{command}`", environment()])
    path = PAGES / f"{name}.md"
    path.write_text(text + "\n")
    print(text)
    return path


def environment() -> str:
    """Processor, system and versions, in one line."""
    versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
    return (
        f"Machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}. "
        f"Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    """What the processor calls itself, with the widest vector instructions that it has."""
    here = machine()
    vectors = next(
        (shown for flag, shown in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in here.isa), ""
    )
    return ", ".join(part for part in (here.processor, vectors) if part)


def _shown(argument: str) -> str:
    """Paths of this machine mean nothing elsewhere, and a note stands on the page already."""
    if " " in argument:
        return "TEXT"
    return "FOLDER" if Path(argument).is_dir() else argument
