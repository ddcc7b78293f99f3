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

METHODS = ("onnxprune", "Torch-Pruning")
FOUND = "https://github.com/cwilldoner/practicalwork"


def at_once(study: Study, method: str, ratio: float) -> Figures:
    """One cut and nothing else."""

    def make() -> Figures:
        source = study.source("cp_resnet_mnist")
        if method == "onnxprune":
            model = load_model(source)
            pruned = prune_to(model, counts_at(widths(model), ratio), criterion="l2")
        else:
            module = native(source)
            prune_module(module, MNIST.shape, ratio)
            path = study.folder / f"torch_{ratio}_at_once.onnx"
            export_module(module, path, MNIST.shape, keep_batch_norm=True)
            pruned = load_model(path)
        return summary(study, pruned)

    settings = {"ratio": ratio, "quick": study.quick}
    return study.case(f"{method.lower()}_{ratio}_at_once", settings, make)


def in_steps(study: Study, method: str, ratio: float) -> Figures | None:
    """Six cuts, each fine-tuned; every step is kept."""
    settings = {"ratio": ratio, "steps": STEPS, "epochs": EPOCHS, "quick": study.quick}
    return study.tuned_case(
        f"{method.lower()}_{ratio}_in_steps", settings, partial(WALKS[method], study, ratio)
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


WALKS = {"onnxprune": walk_ours, "Torch-Pruning": walk_theirs}


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
        _ABOUT.format(tp=version("torch-pruning"), steps=STEPS, epochs=EPOCHS, found=FOUND),
        table(heads, rows),
        study.figure(partial(draw, study)),
    )


def draw(study: Study, axes: Any) -> None:
    """Accuracy against parameters, step by step."""
    for method, mark in zip(METHODS, "ox", strict=True):
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
augmentation), where the source work has 50 of Adam. L2 norm; the last layer keeps its classes. `at \
once`: one cut, nothing retrained. `in steps`: {steps} cuts, fine-tuned for {epochs:g} epochs after \
each, where the source work has 20; both methods are trained by `onnxprune.training` with the same \
settings. The source work used an earlier Torch-Pruning; here it is {tp}. Accuracy on all 10,000 \
test images."""


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
