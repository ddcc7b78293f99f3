"""VGG-16 on CIFAR-10: channels of low entropy go, then those that correlate; a grid of thresholds.

    python benchmarks/thresholds.py [--shared FOLDER] [--cache FOLDER] [--device cuda] [--part 1/4]
                                    [--tuned-only] [--quick]

Writes ``docs/benchmarks/thresholds.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from harness import ROOT, table
from study import CIFAR10, Figures, Study, shown, totals

import onnxprune
from onnxprune import load_model

SOURCE = ROOT / "fixtures" / "vgg16_cifar10.onnx"
ENTROPIES = (0.0, 0.3, 0.5, 0.7)
CORRELATIONS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""0 and 1 remove nothing but dead and equal channels."""

REPAIRS = ("none", "merge")
"""``merge`` gives what a correlated channel did to the one that stands in for it."""

SAMPLES = 1024
EPOCHS = 4
"""With the network before pruning as the teacher."""

TUNED = ((0.3, 0.8), (0.5, 0.6))
"""Pairs of thresholds that are fine-tuned too."""


def cell(study: Study, entropy: float, correlation: float, repair: str) -> Figures:
    """Prune with a pair of thresholds and measure what is left."""

    def make() -> Figures:
        samples = study.samples(CIFAR10, SOURCE, "train", 128 if study.quick else SAMPLES, labels=False)
        result = onnxprune.prune(
            str(SOURCE),
            criterion=f"entropy:{entropy}",
            then=f"correlation:{correlation}",
            align="off",
            repair=repair,
            data=samples,
            samples=samples.count,
            holdout=0,
            threads=study.threads,
        )
        study.keep(name, result.model)
        parameters, macs = totals(result.model)
        gone = np.sum([layer.removed_by or (0, 0) for layer in result.report.layers], axis=0)
        filters = result.report.totals["filters"]
        return {
            "filters": filters[1],
            "by_entropy": int(gone[0]),
            "by_correlation": int(gone[1]),
            "parameters": parameters,
            "macs": macs,
            **study.measure(result.model, CIFAR10),
        }

    name = f"entropy_{entropy}_correlation_{correlation}_{repair}"
    return study.case(name, {"samples": SAMPLES, "quick": study.quick}, make)


def tuned(study: Study, entropy: float, correlation: float) -> Figures | None:
    """Fine-tune a cell that was pruned without repair."""
    cell(study, entropy, correlation, "none")
    name = f"entropy_{entropy}_correlation_{correlation}_none"

    def make() -> Figures:
        model = study.tune(
            load_model(study.folder / f"{name}.onnx"),
            CIFAR10,
            EPOCHS,
            teacher=load_model(SOURCE),
            augment="cifar",
        )
        return study.measure(model, CIFAR10)

    return study.tuned_case(
        f"{name}_tuned", {"epochs": EPOCHS, "samples": SAMPLES, "quick": study.quick}, make
    )


def page(study: Study, grid: Sequence[tuple[float, float]]) -> None:
    """The table, the fine-tuned cells, and the plot."""
    parameters, macs = totals(load_model(SOURCE))
    base = study.case("source", {"quick": study.quick}, lambda: study.measure(load_model(SOURCE), CIFAR10))
    rows = []
    for entropy, correlation in grid:
        plain, merged = (cell(study, entropy, correlation, repair) for repair in REPAIRS)
        rows.append(
            [
                f"{entropy:g}",
                f"{correlation:g}",
                f"{plain['filters']:,} (−{plain['by_entropy']}, −{plain['by_correlation']})",
                f"{plain['parameters']:,}",
                f"{1 - plain['parameters'] / parameters:.1%}",
                f"{1 - plain['macs'] / macs:.1%}",
                f"{plain['accuracy']:.2f}",
                f"{merged['accuracy']:.2f}",
            ]
        )
    heads = ["entropy", "correlation", "filters left", "parameters", "pruned", "MACs less"]
    said = "\n".join(
        f"- entropy {entropy:g}, then correlation {correlation:g}, fine-tuned for {EPOCHS} epochs with the "
        "source as teacher: "
        f"{shown(tuned(study, entropy, correlation))} %"
        for entropy, correlation in TUNED
    )
    study.page(
        "Entropy, then correlation",
        _ABOUT.format(samples=SAMPLES, base=f"{base['accuracy']:.2f}", parameters=f"{parameters:,}"),
        table([*heads, *(f"`{repair}`, %" for repair in REPAIRS)], rows),
        said,
        study.figure(partial(draw, study, grid, parameters)),
    )


def draw(study: Study, grid: Sequence[tuple[float, float]], whole: int, axes: Any) -> None:
    """Accuracy against the share of the parameters that went; a line a threshold of correlation."""
    for place, correlation in enumerate(dict.fromkeys(second for _, second in grid)):
        for repair, style in zip(REPAIRS, ("--", "-"), strict=True):
            found = [cell(study, first, second, repair) for first, second in grid if second == correlation]
            axes.plot(
                [100 * (1 - own["parameters"] / whole) for own in found],
                [own["accuracy"] for own in found],
                style,
                color=f"C{place}",
                marker=".",
                label=f"correlation {correlation:g}, {repair}",
            )
    axes.set_xlabel("parameters that went, %")
    axes.set_ylabel("accuracy, %")
    axes.legend(fontsize=7)


_ABOUT = """`onnxprune fixtures/vgg16_cifar10.onnx --criterion entropy:E --then correlation:C \
--align off`: filters whose pooled activations have an entropy below E go first, then filters until \
no two of a layer correlate by more than C, both measured on {samples:,} training images without \
labels. A filter that goes is cut out of the file with all that reads it; the numbers in brackets \
went by entropy and by correlation. `pruned` is the share of the {parameters} parameters that went. \
Accuracy on all 10,000 test images, of {base} % before: without a repair, and with `--repair merge`, \
which folds a correlated filter into the one that stands in for it. A layer keeps a tenth of its \
filters in any case. The network is VGG-16 at a quarter of its width, trained for 40 epochs."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument(
        "--tuned-only", action="store_true", help="fine-tune the chosen cells and do nothing else"
    )
    given, rest = own.parse_known_args(words)
    study = Study("thresholds", rest, about=(__doc__ or "").splitlines()[0])
    grid = [(entropy, correlation) for entropy in ENTROPIES for correlation in CORRELATIONS]
    if study.quick:
        grid = [pair for pair in grid if pair in TUNED]
    if given.tuned_only:
        for pair in TUNED:
            tuned(study, *pair)
        return
    for entropy, correlation, repair in study.share([(*pair, repair) for pair in grid for repair in REPAIRS]):
        cell(study, entropy, correlation, repair)
    for pair in study.share(list(TUNED)):
        tuned(study, *pair)
    if not study.partial:
        page(study, grid)


if __name__ == "__main__":
    main()
