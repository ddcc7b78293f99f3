"""How long a scan of all layers takes, what it finds on ResNet-20, and what a bound on the loss makes of it.

    python benchmarks/sensitivity.py [--shared FOLDER] [--cache FOLDER] [--bounds 1,2,5]

The shared folder holds ``data/`` and ``models/``. Everything is scanned and chosen on training images; test
images only tell what came of it. What was measured is kept in the cache, so that a run that was interrupted
goes on where it ended. Writes ``docs/benchmarks/sensitivity.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from harness import Measured, environment, measure, table, write_page
from kept import Kept

MODEL = "resnet20_cifar10"
SAMPLES = 2000
RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)
PLAIN = ("--criterion", "l1", "--repair", "none", "--align", "off")


@dataclass(frozen=True)
class Bench:
    """The model and its images.

    Attributes:
        train: options that name the training images.
        test: options that name the test images.
    """

    model: Path
    train: tuple[str, ...]
    test: tuple[str, ...]

    def command(self, verb: str, *options: str | Path) -> tuple[Measured, dict[str, Any]]:
        """Run a verb on training images; returns its measure and its JSON."""
        words = [sys.executable, "-m", "onnxprune", *verb.split(), self.model, *self.train]
        done = measure([*words, *options, "--json"], allowed=(0, 1))
        return done, json.loads(done.output)

    def accuracy(self, model: Path) -> float:
        """Percent of all test images."""
        words = [sys.executable, "-m", "onnxprune", "evaluate", model, *self.test, "--json"]
        return 100 * float(json.loads(measure(words).output)["models"][0]["metrics"]["accuracy"]["value"])


def processor_seconds() -> float:
    """Of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def scanned(bench: Bench) -> dict[str, Any]:
    """The scan, and how long it took."""
    options = ("--samples", str(SAMPLES), "--ratios", ",".join(map(str, RATIOS)))
    with tempfile.TemporaryDirectory() as folder:
        start = processor_seconds()
        first, found = bench.command("sensitivity", "--cache", folder, *options)
        processor = processor_seconds() - start
        again, _ = bench.command("sensitivity", "--cache", folder, *options)
    points = sum(len(row["points"]) for row in found["groups"])
    times = (
        f"{len(found['groups'])} groups at {len(RATIOS)} ratios on {SAMPLES:,} images, "
        f"{points * SAMPLES:,} forward passes: {first.seconds:.0f} s, {processor:.0f} s of processor time, "
        f"{first.peak_bytes / 1e6:.0f} MB at most; again, from the cache: {again.seconds:.1f} s. "
        f"Load of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, this process "
        "included."
    )
    return {"times": times, "found": found}


def scan(scanned: dict[str, Any]) -> list[str]:
    """Seconds of a scan, again from its cache, and the table."""
    found = scanned["found"]
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
        f"Accuracy in percent on {SAMPLES:,} training images of CIFAR-10 when a layer alone loses this share "
        f"of its channels by L1 norm (`+n`: layers that lose the same ones); the whole model: "
        f"{100 * whole:.1f}. It learned these images, so it falls from higher than on others."
    )
    return ["## The scan", scanned["times"], about, table(heads, rows)]


def bounded(bench: Bench, bound: float) -> list[str]:
    """What ``--max-drop`` removes beside one ratio for all layers, on images that neither was chosen by."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen, plain = folder / "chosen.onnx", folder / "plain.onnx"
        given = ("--samples", str(SAMPLES), "--holdout", str(SAMPLES), "--cache", folder / "cache", *PLAIN)
        done, report = bench.command("", "--max-drop", str(bound), "-o", chosen, *given)
        found, (before, after) = report["accuracy"]["max_drop"], report["totals"]["macs"]
        bench.command("", "--macs", f"{after / before:.4f}x", "-o", plain, "--samples", "64", *PLAIN)
        whole = bench.accuracy(bench.model)
        lost, lost_plain = (whole - bench.accuracy(path) for path in (chosen, plain))
    return [
        f"{bound:g}",
        f"{100 * after / before:.1f} %",
        f"{found['drop']:.2f}",
        f"{found['drop_held_back']:.2f}",
        f"{lost:.2f}",
        f"{lost_plain:.2f}",
        str(found["trials"]),
        f"{done.seconds:.0f}",
    ]


def bounds(rows: list[list[str]]) -> list[str]:
    """The table of the bounds."""
    heads = ["bound", "MACs left", "drop, chosen by", "drop, held back", "drop, test", "one ratio, test"]
    about = (
        f"`--max-drop` without repair or training, L1 norm, counts not aligned. Drops in points on the "
        f"{SAMPLES:,} training images that the counts were chosen by, on {SAMPLES:,} others that were held "
        "back, and on all 10,000 test images, which nothing was chosen by; beside them the drop on the test "
        "images when all layers lose the same share and as many MACs are left (`--macs`). The network "
        "learned the training images, so they bear more than the test images do."
    )
    return ["## A bound on the loss", about, table([*heads, "plans", "seconds"], rows)]


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    datasets.add_arguments(parser)
    parser.add_argument("--bounds", default="1,2,5", help="of --max-drop, in points; empty for none")
    given = parser.parse_args()
    model = given.shared / "models" / f"{MODEL}.onnx"
    train, test = (
        datasets.data_options(model, part, shared=given.shared, kept=given.cache)
        for part in ("train", "test")
    )
    bench, kept = Bench(model, tuple(train), tuple(test)), Kept(given.cache / "sensitivity")
    scan_of = kept.get(["scan", environment()], lambda: scanned(bench))
    rows = []
    for bound in [float(text) for text in given.bounds.split(",") if text]:
        rows.append(kept.get(["bound", bound], lambda bound=bound: bounded(bench, bound)))
        print(rows[-1], flush=True)
    write_page(
        "sensitivity",
        "Sensitivity of layers",
        f"`{MODEL}.onnx`: 40.6 M multiply-accumulates an image, 91.7 % on all 10,000 test images.",
        *scan(scan_of),
        *(bounds(rows) if rows else ()),
    )


if __name__ == "__main__":
    main()
