"""Sensitivity of every convolution and dense layer of VGG-16 on CIFAR-10, by L1 norm.

    python benchmarks/vgg16_layers.py [--shared FOLDER] [--cache FOLDER] [--quick]

Runs ``onnxprune sensitivity`` twice: on training images, which is what one would choose ratios by, and on
test images, which tell what that choice costs. Writes ``docs/benchmarks/vgg16_layers.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import datasets
from harness import ROOT, measure, table
from study import Figures, Study

SOURCE = ROOT / "fixtures" / "vgg16_cifar10.onnx"
RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
SAMPLES = {"train": 5000, "test": 10_000}


def scan(study: Study, part: str) -> Figures:
    """Accuracies in percent by layer and ratio; the empty name is the whole network."""
    count = 128 if study.quick else SAMPLES[part]
    ratios = RATIOS[1::2] if study.quick else RATIOS

    def make() -> Figures:
        data = datasets.data_options(SOURCE, part, shared=study.shared, kept=study.kept)
        words = ["sensitivity", SOURCE, *data, "--samples", str(count), "--criterion", "l1", "--json"]
        words += [
            "--ratios",
            ",".join(map(str, ratios)),
            "--cache",
            study.folder / "points",
            "--threads",
            "1",
        ]
        found = json.loads(measure([sys.executable, "-m", "onnxprune", *words]).output)
        return read(found)

    return study.case(f"{part}_{count}", {"ratios": ratios}, make)


def read(found: Mapping[str, Any]) -> Figures:
    """From the report of a scan to accuracies."""
    rows = {"": [100 * found["baseline"]["metrics"]["accuracy"]["value"]]}
    for group in found["groups"]:
        name = group["group"].split("/conv")[0].strip("/").removesuffix("/Gemm")
        rows[name] = [100 * point["metrics"]["accuracy"]["value"] for point in group["points"]]
    return {"rows": rows, "ratios": found["ratios"]}


def page(study: Study) -> None:
    """Two tables and the plot."""
    found = {part: scan(study, part) for part in SAMPLES}
    parts = [_ABOUT.format(train=f"{SAMPLES['train']:,}")]
    for part, title in (
        ("test", "All test images"),
        ("train", f"{SAMPLES['train']:,} training images"),
    ):
        rows = found[part]["rows"]
        heads = ["layer", *(f"−{ratio:.0%}" for ratio in found[part]["ratios"])]
        cells = [
            [f"`{name}`", *(f"{value:.1f}" for value in values)] for name, values in rows.items() if name
        ]
        parts += [f"## {title}: {rows[''][0]:.2f} % unpruned", table(heads, cells)]
    parts.insert(1, study.figure(partial(draw, found["train"]), high=5))
    study.page("VGG-16 on CIFAR-10, layer by layer", *parts)


def draw(found: Figures, axes: Any) -> None:
    """A curve a layer, from the training images."""
    from matplotlib import colormaps

    layers = [(name, values) for name, values in found["rows"].items() if name]
    for place, (name, values) in enumerate(layers):
        colour = colormaps["viridis"](place / max(1, len(layers) - 1))
        curve = [*found["rows"][""], *values]
        axes.plot([0, *found["ratios"]], curve, marker=".", color=colour, label=f"{place + 1}: {name}")
    axes.set_xlabel("share of the layer's filters that goes")
    axes.set_ylabel("accuracy on training images, %")
    axes.legend(fontsize=6, ncols=2)


_ABOUT = """`onnxprune sensitivity fixtures/vgg16_cifar10.onnx --criterion l1`: each layer alone \
loses a share of its filters, those of the least L1 norm, and nothing is retrained or repaired. The \
plot shows the curves on {train} training images, by which one would choose ratios; the first table \
holds what the same cuts cost on all test images. The last dense layer has the classes and is never \
pruned. Accuracies in percent. The network is VGG-16 at a quarter of its width, trained for 40 \
epochs."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    study = Study("vgg16_layers", words, about=(__doc__ or "").splitlines()[0])
    for part in study.share(list(SAMPLES)):
        scan(study, part)
    if not study.partial:
        page(study)


if __name__ == "__main__":
    main()
