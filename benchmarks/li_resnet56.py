"""Li et al.'s ResNet-56-A and -B on CIFAR-10, and the points at 2.1 and 2.5 times fewer MACs.

    python benchmarks/li_resnet56.py [--shared FOLDER] [--cache FOLDER] [--device cuda] [--part 1/6] [--quick]

The shared folder holds ``models/resnet56_cifar10_bn.onnx``. Writes ``docs/benchmarks/li_resnet56.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from harness import table
from study import CIFAR10, Figures, Study, shown, totals

import onnxprune
from onnxprune import load_model

EPOCHS = 1
"""Of fine-tuning: what a core does in four to five minutes a point."""

SAMPLES = 512
BLOCKS = 27
STAGES = ((1, 16), (10, 32), (19, 64))
"""First block and width of each stage. Block b has the layers 2b and 2b + 1, and layer 1 is the stem."""


@dataclass(frozen=True)
class Point:
    """One row of the table.

    Attributes:
        options: for ``onnxprune.prune``.
        data: whether pruning is given unlabelled training images, and training the source as a teacher.
        published: accuracy in percent before and after, share of the MACs and parameters that went, and
        whose.
    """

    name: str
    title: str
    options: Mapping[str, Any]
    data: bool = False
    published: str = ""


def li(skipped: Sequence[int], shares: Sequence[float]) -> dict[str, Any]:
    """Ratios of the first layer of every block, by stage; the counts that go are rounded up."""
    ratios = {}
    for (first, width), (last, _), share in zip(STAGES, (*STAGES[1:], (BLOCKS + 1, 0)), shares, strict=True):
        gone = int(np.ceil(width * share - 1e-9))
        for block in range(first, last):
            if 2 * block not in skipped:
                stage = STAGES.index((first, width)) + 1
                ratios[f"layer{stage}.{block - first}.conv1.weight"] = gone / width
    return {"ratio": 0.0, "layer_ratio": ratios, "include": list(ratios), "criterion": "l1"}


A = li((16, 20, 38, 54), (0.1, 0.1, 0.1))
B = li((16, 18, 20, 34, 38, 54), (0.6, 0.3, 0.1))

LI_A = "93.04 → 93.10, −10.4 % MACs, −9.4 % parameters (Li et al.)"
LI_B = "93.04 → 93.06, −27.6 % MACs, −13.7 % parameters (Li et al.)"
DEPGRAPH_21 = "93.53 → 93.46 at 2.11x, after sparse training 93.77 at 2.13x (DepGraph)"
DEPGRAPH_25 = "93.53 → 93.36 at 2.51x, after sparse training 93.64 at 2.57x (DepGraph)"
"""From the benchmarks page of Torch-Pruning, whose network and training are its own."""

PUBLISHED = ((0.896, 93.10), (0.724, 93.06), (1 / 2.11, 93.46), (1 / 2.51, 93.36))
"""Share of the MACs and accuracy after fine-tuning, for the plot."""

POINTS = (
    Point("a", "A, `l1`", {**A, "repair": "none"}, published=LI_A),
    Point("a_lstsq", "A, `l1`, `lstsq`", {**A, "repair": "lstsq"}, data=True),
    Point("b", "B, `l1`", {**B, "repair": "none"}, published=LI_B),
    Point("b_lstsq", "B, `l1`, `lstsq`", {**B, "repair": "lstsq"}, data=True),
    Point(
        "l1_211",
        "2.11x, `l1`",
        {"macs": f"{1 / 2.11}x", "criterion": "l1", "repair": "none"},
        published=DEPGRAPH_21,
    ),
    Point("data_211", "2.11x, with data", {"macs": f"{1 / 2.11}x"}, data=True),
    Point(
        "l1_251",
        "2.51x, `l1`",
        {"macs": f"{1 / 2.51}x", "criterion": "l1", "repair": "none"},
        published=DEPGRAPH_25,
    ),
    Point("data_251", "2.51x, with data", {"macs": f"{1 / 2.51}x"}, data=True),
)


def source_of(study: Study) -> Path:
    """The network that is pruned, and that teaches."""
    return study.shared / "models" / "resnet56_cifar10_bn.onnx"


def pruned(study: Study, point: Point) -> Figures:
    """Prune and measure."""

    def make() -> Figures:
        source = source_of(study)
        options = dict(point.options)
        if point.data:
            few = 64 if study.quick else SAMPLES
            options |= {"data": study.samples(CIFAR10, source, "train", few, labels=False), "holdout": 0}
        model = onnxprune.prune(str(source), align="off", threads=study.threads, **options).model
        study.keep(point.name, model)
        parameters, macs = totals(model)
        return {"parameters": parameters, "macs": macs, **study.measure(model, CIFAR10)}

    settings = {"options": dict(point.options), "samples": SAMPLES, "quick": study.quick}
    return study.case(point.name, settings, make)


def tuned(study: Study, point: Point) -> Figures | None:
    """Fine-tune what is left."""
    pruned(study, point)

    def make() -> Figures:
        model = load_model(study.folder / f"{point.name}.onnx")
        teacher = load_model(source_of(study)) if point.data else None
        trained = study.tune(model, CIFAR10, EPOCHS, teacher=teacher, augment="cifar", validation=0.02)
        return study.measure(trained, CIFAR10)

    settings = {
        "options": dict(point.options),
        "epochs": EPOCHS,
        "teacher": point.data,
        "quick": study.quick,
    }
    return study.tuned_case(f"{point.name}_tuned", settings, make)


def page(study: Study, points: Sequence[Point]) -> None:
    """The table and the plot."""
    source = source_of(study)
    parameters, macs = totals(load_model(source))
    base = study.case("source", {"quick": study.quick}, lambda: study.measure(load_model(source), CIFAR10))
    rows = [["(source)", f"{parameters:,}", "", f"{macs / 1e6:.1f} M", "", f"{base['accuracy']:.2f}", "", ""]]
    for point in points:
        found, after = pruned(study, point), tuned(study, point)
        rows.append(
            [
                point.title,
                f"{found['parameters']:,}",
                f"−{1 - found['parameters'] / parameters:.1%}",
                f"{found['macs'] / 1e6:.1f} M",
                f"−{1 - found['macs'] / macs:.1%} ({macs / found['macs']:.2f}x)",
                f"{found['accuracy']:.2f}",
                shown(after),
                point.published,
            ]
        )
    heads = ["point", "parameters", "", "MACs", "", "as pruned, %", "fine-tuned, %", "published"]
    study.page(
        "ResNet-56: the published points",
        _ABOUT.format(epochs=EPOCHS, samples=SAMPLES),
        table(heads, rows),
        study.figure(partial(draw, study, points, macs)),
    )


def draw(study: Study, points: Sequence[Point], whole: int, axes: Any) -> None:
    """Accuracy against what is left of the MACs: as pruned, fine-tuned, and what was published."""
    for kind, colour, aside in ((False, "C1", -0.004), (True, "C0", 0.004)):
        for number, point in enumerate(point for point in points if point.data == kind):
            found, after = pruned(study, point), tuned(study, point)
            left = found["macs"] / whole + aside
            own, trained = found["accuracy"], (after or found)["accuracy"]
            axes.plot([left] * 2, [max(own, _LOWEST), trained], color=colour, linewidth=0.8)
            axes.plot(left, max(own, _LOWEST), "x" if own > _LOWEST else "v", color=colour)
            label = "" if number else "`l1` and labels" if not kind else "with data and teacher"
            axes.plot(left, trained, "o", color=colour, label=label)
    axes.plot(
        *zip(*PUBLISHED, strict=True), "s", color="C7", fillstyle="none", label="published, 40 to 100 epochs"
    )
    axes.set_ylim(_LOWEST - 0.5, 94)
    axes.set_xlabel("share of the multiply-accumulates that is left")
    axes.set_ylabel("accuracy, % (x as pruned, v below, o fine-tuned)")
    axes.legend(fontsize=7, loc="lower right")


_LOWEST = 86
"""Of the plot; what is below is an arrow at its edge."""

_ABOUT = """Accuracy in percent on all 10,000 test images. A and B are the networks of Li et al. \
2017 (arXiv 1608.08710): of the first layer of each residual block a share of the filters goes by L1 \
norm, in A 10 %, in B 60, 30 and 10 % by stage. The layers that they call sensitive stay whole: 16, \
20, 38 and 54 in A, 16, 18, 20, 34, 38 and 54 in B, counted from the stem, which is 1, so that block \
b has 2b and 2b + 1. The paper does not say how a share of a filter is rounded; here the number that \
goes is rounded up. The other rows have a bound on the multiply-accumulates at which DepGraph (Fang \
et al. 2023, arXiv 2301.12900) and others give their results, `l1` with the same share of every \
layer, residual streams included, and what the command line does by itself with `--data` ({samples} \
training images, no labels: `obs`, `lstsq`, shares by loss). Fine-tuned \
for {epochs} epoch only with random crops and mirroring, where Li et al. have 40 and DepGraph 100: the \
rows with `l1` alone on labels, the others with the source as the teacher as well, each with the defaults \
of `onnxprune finetune` (2 % of the training images held back). What more epochs give at 2.1x is in \
[finetuning.md](finetuning.md). The base network differs from the published ones too."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    study = Study("li_resnet56", words, about=(__doc__ or "").splitlines()[0])
    points = POINTS[:1] if study.quick else POINTS
    for point in study.share(points):
        tuned(study, point)
    if not study.partial:
        page(study, points)


if __name__ == "__main__":
    main()
