"""How long pruning takes, beside merely loading and saving the same file.

    python benchmarks/speed.py FOLDER [--models resnet50,vit_b_16] [--rounds 5]

FOLDER holds the exports that ``benchmarks/zoo.py`` makes. Every figure is the median of runs in fresh
processes, the kinds in turns. Writes ``docs/benchmarks/speed.md``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from harness import exports, measure, prune, table, write_page

MODELS = "resnet50,densenet121,vgg16_bn,vit_b_16"
VARIANTS = ("dynamo_static", "ts_static", "ts_dyn")
RATIO = 0.4
PROPER = ("coupling channels", "scoring channels", "planning", "cutting")
"""The steps that are pruning itself; before them the file is loaded, after them verified and written."""

Seconds = dict[str, float]


def copy_file(source: Path, target: Path) -> Seconds:
    """``onnx.load`` and ``onnx.save``."""
    import onnx

    begin = time.perf_counter()
    model = onnx.load(source)
    loaded = time.perf_counter()
    onnx.save(model, target)
    return {"onnx.load": loaded - begin, "onnx.save": time.perf_counter() - loaded}


def prune_file(source: Path, target: Path) -> Seconds:
    """The steps of ``onnxprune.prune``, as it names them itself."""
    from onnxprune.api import prune as prune_model

    marks: list[tuple[str, float]] = []

    def mark(step: str) -> None:
        marks.append((step, time.perf_counter()))

    prune_model(source, ratio=RATIO, output=target, progress=mark)
    mark("")
    found: Seconds = defaultdict(float)
    for (step, begin), (_, end) in pairwise(marks):
        found[step] += end - begin
    return found


KINDS: dict[str, Callable[[Path, Path], Seconds]] = {"copy": copy_file, "prune": prune_file}


def one_round(source: Path) -> Seconds:
    """One run of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "out.onnx"
        whole, _ = prune(source, target, "--ratio", str(RATIO))
        found: Seconds = {"command": whole.seconds, "peak": whole.peak_bytes / source.stat().st_size}
        for kind in KINDS:
            copy = Path(folder) / f"{kind}.onnx"
            child = measure([sys.executable, __file__, "--child", kind, source, copy])
            found.update(json.loads(child.output))
    found["proper"] = sum(found[step] for step in PROPER)
    return found


def benchmark(name: str, source: Path, rounds: int) -> list[str]:
    """The row of one network."""
    runs = [one_round(source) for _ in range(rounds)]
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    copying = median["onnx.load"] + median["onnx.save"]
    keys = ("command", "loading", "proper", "verifying", "writing")
    row = [name, f"{source.stat().st_size / 1e6:.0f}", *(f"{median[key]:.2f}" for key in keys)]
    row += [f"{copying:.2f}", f"{median['proper'] / copying:.2f}", f"{median['peak']:.1f}"]
    print(" | ".join(row), flush=True)
    return row


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        kind, source, target = sys.argv[2:5]
        print(json.dumps(KINDS[kind](Path(source), Path(target))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found = exports(arguments.folder, arguments.models.split(","), VARIANTS)
    rows = [benchmark(name, path, arguments.rounds) for name, path in found.items()]
    header = ["network", "file, MB", "whole command, s", "load", "prune", "verify", "write"]
    header += ["onnx.load + onnx.save, s", "prune / (load + save)", "peak / file"]
    write_page(
        "speed",
        "Speed of the pruner",
        f"`onnxprune MODEL --ratio {RATIO}`: seconds from the start of the process to its exit, imports and "
        "verification included; then of the steps by themselves, *prune* being coupling, scoring, planning "
        "and cutting. The last columns: `onnx.load` and `onnx.save` of the same file, *prune* relative to "
        "that, and the peak memory of the whole command in file sizes. "
        f"Medians of {arguments.rounds} fresh processes.",
        table(header, rows),
    )


if __name__ == "__main__":
    main()
