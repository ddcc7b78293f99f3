"""How long a scan of all layers takes, what it finds on ResNet-20, and what a bound on the loss makes of it.

    python benchmarks/sensitivity.py --shared FOLDER --cifar FILE.npz

FOLDER holds ``models/resnet20_cifar10.onnx``; FILE has ``x_train``, ``x_test``, ``y_test``. Writes
``docs/benchmarks/sensitivity.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import Measured, measure, table, write_page

MODEL = "resnet20_cifar10"
PREPROCESS = "scale=1/255,mean=0.485;0.456;0.406,std=0.229;0.224;0.225"
SAMPLES = 2000
RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)
BOUNDS = (1.0, 2.0, 5.0)


def command(
    verb: str, model: Path, data: Path, folder: Path, *options: str
) -> tuple[Measured, dict[str, Any]]:
    """Run a verb on test images; returns its measure and its JSON."""
    given = ["--data", f"{data}:x_test,y_test", "--preprocess", PREPROCESS, "--cache", str(folder), *options]
    words = [sys.executable, "-m", "onnxprune", *verb.split(), model, *given, "--json"]
    done = measure(words, allowed=(0, 1))
    return done, json.loads(done.output)


def processor_seconds() -> float:
    """Of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def scan(model: Path, data: Path) -> list[str]:
    """Seconds of a scan, again from its cache, and the table."""
    options = ("--samples", str(SAMPLES), "--ratios", ",".join(map(str, RATIOS)))
    with tempfile.TemporaryDirectory() as folder:
        start = processor_seconds()
        first, found = command("sensitivity", model, data, Path(folder), *options)
        processor = processor_seconds() - start
        again, _ = command("sensitivity", model, data, Path(folder), *options)
    points = sum(len(row["points"]) for row in found["groups"])
    load = os.getloadavg()[0]
    times = (
        f"{len(found['groups'])} groups at {len(RATIOS)} ratios on {SAMPLES:,} images, "
        f"{points * SAMPLES:,} forward passes: {first.seconds:.0f} s, {processor:.0f} s of processor time, "
        f"{first.peak_bytes / 1e6:.0f} MB at most; again, from the cache: {again.seconds:.1f} s. "
        f"Load of the machine at the end: {load:.1f} on {os.cpu_count()} cores, this process included."
    )
    whole = found["baseline"]["metrics"]["accuracy"]["value"]
    rows = [
        [
            row["weight"] + (f" +{len(row['layers']) - 1}" if len(row["layers"]) > 1 else ""),
            row["channels"],
            f"{100 * row['macs']:.0f} %",
            *(f"{100 * point['metrics']['accuracy']['value']:.1f}" for point in row["points"]),
        ]
        for row in found["groups"]
    ]
    heads = ["layer", "channels", "MACs", *(f"{100 * ratio:.0f} %" for ratio in RATIOS)]
    about = (
        f"Accuracy in percent on {SAMPLES:,} test images of CIFAR-10 when a layer alone loses this share of "
        f"its channels by L1 norm (`+n`: layers that lose the same ones); the whole model: {100 * whole:.1f}."
    )
    return ["## The scan", times, about, table(heads, rows)]


def bounds(model: Path, data: Path) -> list[str]:
    """What ``--max-drop`` removes beside one ratio for all layers, on images that neither was chosen by."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for bound in BOUNDS:
            output = (
                "-o",
                str(Path(folder) / "small.onnx"),
                "--criterion",
                "l1",
                "--repair",
                "none",
                "--align",
                "off",
            )
            given = ("--samples", str(SAMPLES), "--holdout", str(SAMPLES), *output)
            done, report = command("", model, data, Path(folder) / "c", "--max-drop", str(bound), *given)
            found, (before, after) = report["accuracy"]["max_drop"], report["totals"]["macs"]
            uniform = same_macs(model, data, Path(folder), after / before, given)
            rows.append(
                [
                    f"{bound:g}",
                    f"{100 * after / before:.1f} %",
                    f"{found['drop']:.2f}",
                    f"{found['drop_held_back']:.2f}",
                    f"{uniform:.2f}",
                    found["trials"],
                    f"{done.seconds:.0f}",
                ]
            )
            print(rows[-1], flush=True)
    heads = [
        "bound",
        "MACs left",
        "drop, chosen by",
        "drop, held back",
        "one ratio, held back",
        "plans",
        "seconds",
    ]
    about = (
        f"`--max-drop` without repair or training, L1 norm, counts not aligned. Drops in points on the "
        f"{SAMPLES:,} images that the counts were chosen by and on {SAMPLES:,} others; beside them the drop "
        "on the same others when all layers lose the same share and as many MACs are left (`--macs`)."
    )
    return ["## A bound on the loss", about, table(heads, rows)]


def same_macs(model: Path, data: Path, folder: Path, left: float, given: tuple[str, ...]) -> float:
    """The drop on the images held back of a plan with as many MACs and one ratio for all layers."""
    words = [sys.executable, "-m", "onnxprune", model, "--macs", f"{left:.4f}x", "--json", *given]
    words += ["--data", f"{data}:x_test,y_test", "--preprocess", PREPROCESS]
    stages = json.loads(measure(words, allowed=(0, 1)).output)["accuracy"]["stages"]
    return 100 * float(stages["before"]["accuracy"]["value"] - stages["after"]["accuracy"]["value"])


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--cifar", type=Path, required=True)
    given = parser.parse_args()
    model = given.shared / "models" / f"{MODEL}.onnx"
    write_page(
        "sensitivity",
        "Sensitivity of layers",
        f"`{MODEL}.onnx`: 40.6 M multiply-accumulates an image, 91.7 % on all 10,000 test images.",
        *scan(model, given.cifar),
        *bounds(model, given.cifar),
    )


if __name__ == "__main__":
    main()
