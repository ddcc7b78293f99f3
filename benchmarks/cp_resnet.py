"""CP-ResNet 32-64-128 on MNIST: magnitude pruning in six steps with fine-tuning, beside Torch-Pruning.

    python benchmarks/cp_resnet.py [--shared FOLDER] [--cache FOLDER] [--device cuda] [--part 1/4] [--quick]

Trains the network (``fixtures/published.py``) if its file is missing. Needs ``pip install
"onnxprune[benchmarks]"``. Writes ``docs/benchmarks/cp_resnet.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

from harness import table
from native import export_module, fill, native
from pruners import prune_module
from steps import counts_at, prune_to, widths
from study import BATCHES, MNIST, Figures, Study, shown, totals

from onnxprune import load_model
from onnxprune.model import Model

STEPS = 6
EPOCHS = 0.5
"""Of fine-tuning after each step; the source work has 20."""

LEFT = {0.35: 54_706, 0.4: 47_349}
"""Parameters that the source work states, by the share of the channels that goes."""

METHODS = ("onnxprune", "Torch-Pruning", "onnxprune, data and teacher")
SAMPLES = 512
"""Training images, without labels, of the last one."""

FOUND = "https://github.com/cwilldoner/practicalwork"


def at_once(study: Study, method: str, ratio: float) -> Figures:
    """One cut and nothing else."""
    settings = {"ratio": ratio, "quick": study.quick}
    return study.case(
        f"{slug(method)}_{ratio}_at_once", settings, lambda: summary(study, CUTS[method](study, ratio))
    )


def cut_ours(study: Study, ratio: float) -> Model:
    """By L2 norm, in the ONNX file."""
    model = load_model(study.source("cp_resnet_mnist"))
    return prune_to(model, counts_at(widths(model), ratio), criterion="l2")


def cut_theirs(study: Study, ratio: float) -> Model:
    """By L2 norm, in the module, which is exported."""
    module = native(study.source("cp_resnet_mnist"))
    prune_module(module, MNIST.shape, ratio)
    path = study.folder / f"torch_{ratio}_at_once.onnx"
    export_module(module, path, MNIST.shape, keep_batch_norm=True)
    return load_model(path)


def cut_with_data(study: Study, ratio: float) -> Model:
    """By what removal costs on training images, repaired on them."""
    model = load_model(study.source("cp_resnet_mnist"))
    return prune_to(model, counts_at(widths(model), ratio), **on_data(study, model))


def on_data(study: Study, model: Model) -> dict[str, Any]:
    """Options of the default with data."""
    few = 64 if study.quick else SAMPLES
    samples = study.samples(MNIST, model, "train", few, labels=False)
    return {"criterion": "obs", "repair": "auto", "data": samples, "samples": few, "holdout": 0}


def in_steps(study: Study, method: str, ratio: float) -> Figures | None:
    """Six cuts, each fine-tuned; every step is kept."""
    settings = {"ratio": ratio, "steps": STEPS, "epochs": EPOCHS, "quick": study.quick}
    return study.tuned_case(
        f"{slug(method)}_{ratio}_in_steps", settings, partial(WALKS[method], study, ratio)
    )


def walk_ours(study: Study, ratio: float) -> Figures:
    """Prune the ONNX file, train it, prune the trained one."""
    model = load_model(study.source("cp_resnet_mnist"))
    first, steps = widths(model), []
    for step in range(1, STEPS + 1):
        model = prune_to(model, counts_at(first, ratio * step / STEPS), criterion="l2")
        model = study.tune(model, MNIST, EPOCHS, **BATCHES)
        steps.append(summary(study, model))
    study.keep(f"onnxprune_{ratio}", model)
    return {**steps[-1], "steps": steps}


def walk_theirs(study: Study, ratio: float) -> Figures:
    """Prune the module, export it, train the export, and take its weights back into the module."""
    module = native(study.source("cp_resnet_mnist"))
    pruner, steps = None, []
    path = study.folder / f"torch_pruning_{ratio}.onnx"
    for _ in range(STEPS):
        if pruner is None:
            pruner = prune_module(module, MNIST.shape, ratio, steps=STEPS)
        else:
            pruner.step()
        export_module(module, path, MNIST.shape, keep_batch_norm=True)
        model = study.tune(load_model(path), MNIST, EPOCHS, **BATCHES)
        fill(module, model.to_proto())
        steps.append(summary(study, model))
    return {**steps[-1], "steps": steps}


def walk_taught(study: Study, ratio: float) -> Figures:
    """Prune and repair on training images, train with the source as the teacher."""
    source = load_model(study.source("cp_resnet_mnist"))
    model, first, steps = source, widths(source), []
    for step in range(1, STEPS + 1):
        counts = counts_at(first, ratio * step / STEPS)
        model = prune_to(model, counts, **on_data(study, model))
        model = study.tune(model, MNIST, EPOCHS, teacher=source)
        steps.append(summary(study, model))
    study.keep(f"{slug(METHODS[2])}_{ratio}", model)
    return {**steps[-1], "steps": steps}


CUTS = dict(zip(METHODS, (cut_ours, cut_theirs, cut_with_data), strict=True))
WALKS = dict(zip(METHODS, (walk_ours, walk_theirs, walk_taught), strict=True))


def slug(method: str) -> str:
    """A method as a part of a file name."""
    return method.lower().replace(", ", "_").replace(" ", "_")


def summary(study: Study, model: Model) -> Figures:
    """Size and accuracy."""
    parameters, macs = totals(model)
    return {"parameters": parameters, "macs": macs, **study.measure(model, MNIST)}


def page(study: Study) -> None:
    """The table, the plot and the assumptions."""
    source = study.case(
        "source", {"quick": study.quick}, lambda: summary(study, load_model(study.source("cp_resnet_mnist")))
    )
    rows = [["(source)", "", f"{source['parameters']:,}", "131,316", f"{source['accuracy']:.2f}", "", ""]]
    for ratio, left in LEFT.items():
        for method in METHODS:
            plain, tuned = at_once(study, method, ratio), in_steps(study, method, ratio)
            after = plain["parameters"] if tuned is None else tuned["parameters"]
            same = "" if plain["parameters"] == after else f" ({after:,} in steps)"
            rows.append(
                [
                    method,
                    f"{ratio:.0%}",
                    f"{plain['parameters']:,}{same}",
                    f"{left:,}",
                    f"{plain['accuracy']:.2f}",
                    shown(tuned),
                    shown(tuned, "log_loss", 4),
                ]
            )
    heads = [
        "method",
        "channels that go",
        "parameters",
        "source work",
        "at once, %",
        "in steps, %",
        "log-loss",
    ]
    study.page(
        "CP-ResNet on MNIST",
        _ABOUT.format(tp=version("torch-pruning"), steps=STEPS, epochs=EPOCHS, found=FOUND, samples=SAMPLES),
        table(heads, rows),
        study.figure(partial(draw, study)),
    )


def draw(study: Study, axes: Any) -> None:
    """Accuracy against parameters, step by step."""
    for method, mark in zip(METHODS, "ox^", strict=True):
        for ratio in LEFT:
            walked = in_steps(study, method, ratio)
            steps = [at_once(study, method, ratio)] if walked is None else walked["steps"]
            axes.plot(
                [step["parameters"] for step in steps],
                [step["accuracy"] for step in steps],
                marker=mark,
                label=f"{method}, {ratio:.0%}",
            )
    axes.set_xlabel("parameters")
    axes.set_ylabel("accuracy, %")
    axes.legend()


_ABOUT = """The network is [the source work's]({found}): CP-ResNet with rho = 4 and widths \
32-64-128, two blocks a stage. With the kernels that follow from rho, a 5x5 stem with stride 2 and \
Hardswish, and a last convolution with batch normalisation for the classes, the count is exact, \
batch normalisation included. Trained here for 12 epochs (one cycle of SGD, batch 128, no \
augmentation), where the source work has 50 of Adam. The last layer keeps its classes. `at once`: \
one cut, nothing retrained. `in steps`: {steps} cuts, fine-tuned for {epochs:g} epochs after each, \
where the source work has 20. The first two methods rank by L2 norm and are trained on labels by \
`onnxprune.training` with the same settings. `data and teacher`: criterion and repair are the defaults \
with data ({samples} training images without labels; the repair gives convolutions biases, which are \
the parameters beyond those of the others), and the source is the teacher of the training. The source \
work used an earlier Torch-Pruning; here it is {tp}. Accuracy on all 10,000 test images."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    study = Study("cp_resnet", words, about=(__doc__ or "").splitlines()[0])
    tasks = [(run, method, ratio) for run in (in_steps, at_once) for ratio in LEFT for method in METHODS]
    for run, method, ratio in study.share(tasks):
        run(study, method, ratio)
    if not study.partial:
        page(study)


if __name__ == "__main__":
    main()
