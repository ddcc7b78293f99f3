"""Torch-Pruning and onnxsim beside this package: the same networks, ratio and norm, in one run.

    python benchmarks/peers.py [--shared FOLDER] [--cache FOLDER] [--zoo FOLDER] [--latency] [--device cuda]
                               [--part 1/4] [--quick]

``--zoo`` names the exports that ``benchmarks/zoo.py`` makes (``ts_dyn``), whose rows need torchvision.
``--latency`` measures latencies that are not in the cache yet, which wants a machine that does nothing
else. Needs ``pip install "onnxprune[benchmarks]"``. Writes ``docs/benchmarks/peers.md``.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from harness import ROOT, table
from native import native
from pruners import PRUNERS, Task
from study import BATCHES, CIFAR10, FASHION, Figures, ImageSet, Study, totals

import onnxprune
from onnxprune import load_model

RATIO = 0.4
SAMPLES = 512
PLAIN = ("onnxprune", "Torch-Pruning", "onnxsim")
"""Those that do the same thing: no data, no alignment."""


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        path: below the repository if it begins with ``fixtures``, else below the shared folder.
        epochs: of fine-tuning.
    """

    title: str
    path: str
    data: ImageSet
    epochs: float
    augment: str

    @property
    def name(self) -> str:
        """Stem of its file."""
        return Path(self.path).stem

    def file(self, shared: Path) -> Path:
        """Where it is."""
        return (ROOT if self.path.startswith("fixtures") else shared) / self.path


NETWORKS = (
    Network("MLP, Fashion-MNIST", "fixtures/mlp_fashion.onnx", FASHION, 5, "flip"),
    Network("VGG, Fashion-MNIST", "fixtures/vgg_fashion.onnx", FASHION, 5, "flip"),
    Network("ResNet, Fashion-MNIST", "fixtures/resnet_fashion.onnx", FASHION, 5, "flip"),
    Network("MobileNet, Fashion-MNIST", "fixtures/mobilenet_fashion.onnx", FASHION, 5, "flip"),
    Network("VGG-16, CIFAR-10", "fixtures/vgg16_cifar10.onnx", CIFAR10, 12, "cifar"),
    Network("ResNet-56, CIFAR-10", "models/resnet56_cifar10_bn.onnx", CIFAR10, 12, "cifar"),
)


def pruned(study: Study, network: Network, method: str) -> Figures:
    """Prune a trained network and measure the result; the file is kept beside the figures."""
    source = network.file(study.shared)

    def make() -> Figures:
        samples = None
        if "data" in method:
            samples = study.samples(
                network.data, source, "train", 64 if study.quick else SAMPLES, labels=False
            )
        task = Task(source, partial(native, source), network.data.shape, RATIO, samples)
        figures = attempt(task, method, study.folder / f"{network.name}_{slug(method)}.onnx")
        if "error" not in figures:
            figures |= study.measure(load_model(figures_file(study, network, method)), network.data)
        return figures

    settings = {"ratio": RATIO, "samples": SAMPLES, "quick": study.quick}
    return study.case(f"{network.name}_{slug(method)}", settings, make)


def figures_file(study: Study, network: Network, method: str) -> Path:
    """Where the pruned file is kept."""
    return study.folder / f"{network.name}_{slug(method)}.onnx"


def tuned(study: Study, network: Network, method: str) -> Figures | None:
    """Fine-tune what a method left; None where there is nothing or the network takes too long."""
    found = pruned(study, network, method)
    if "error" in found or found["parameters_left"] == 1:
        return None

    def make() -> Figures:
        model = load_model(figures_file(study, network, method))
        trained = study.tune(model, network.data, network.epochs, augment=network.augment, **BATCHES)
        return study.measure(trained, network.data)

    settings = {"ratio": RATIO, "epochs": network.epochs, "augment": network.augment, "quick": study.quick}
    return study.case(f"{network.name}_{slug(method)}_tuned", settings, make)


def attempt(task: Task, method: str, output: Path) -> Figures:
    """Seconds, and what is left; or what went wrong, in the words of the package."""
    before = totals(load_model(task.path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seconds = PRUNERS[method](task, output)
        run_once(output, task.shape)
        after = totals(load_model(output))
    except Exception as error:  # whatever a package raises is the finding
        output.unlink(missing_ok=True)
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"}
    return {
        **seconds,
        "parameters": after[0],
        "macs": after[1],
        "parameters_left": after[0] / before[0],
        "macs_left": after[1] / before[1],
    }


def run_once(path: Path, shape: Sequence[int]) -> None:
    """Run a file in ONNX Runtime.

    Raises:
        Exception: it does not load or run.
        RuntimeError: it gives something that is not a number.
    """
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    batch = entry.shape[0] if isinstance(entry.shape[0], int) else 2
    values = np.random.default_rng(0).standard_normal((batch, *shape)).astype(np.float32)
    if not all(np.isfinite(found).all() for found in session.run(None, {entry.name: values})):
        raise RuntimeError("the outputs are not finite")


def slug(method: str) -> str:
    """A method as a part of a file name."""
    return method.lower().replace(", ", "_").replace("-", "_")


# tables


def accuracy_rows(study: Study, networks: Sequence[Network]) -> list[list[str]]:
    """A row a network and method; the best of the plain methods is bold."""
    rows = []
    for network in networks:
        source = network.file(study.shared)
        base = study.case(
            f"{network.name}_source",
            {"quick": study.quick},
            partial(study.measure, load_model(source), network.data),
        )
        parameters, macs = totals(load_model(source))
        rows.append(
            [
                network.title,
                "(source)",
                f"{parameters:,}",
                f"{macs / 1e6:.2f} M",
                "",
                f"{base['accuracy']:.2f}",
                "",
            ]
        )
        for method in PRUNERS:
            found = pruned(study, network, method)
            if "error" in found:
                rows.append([network.title, method, f"fails: `{found['error']}`", "", "", "", ""])
                continue
            after = tuned(study, network, method)
            rows.append(
                [
                    network.title,
                    method,
                    f"{found['parameters']:,} ({found['parameters_left']:.1%})",
                    f"{found['macs'] / 1e6:.2f} M ({found['macs_left']:.1%})",
                    spelled_seconds(found),
                    f"{found['accuracy']:.2f}",
                    "" if after is None else f"{after['accuracy']:.2f}",
                ]
            )
    return rows


def spelled_seconds(found: Mapping[str, Any]) -> str:
    """Seconds of the pruning, and of the export where there is one."""
    export = found.get("export_seconds")
    return f"{found['seconds']:.2f}" + ("" if export is None else f" + {export:.2f}")


def latencies(study: Study, network: Network, *, measure: bool) -> Figures | None:
    """Median milliseconds by method; None where they are not kept and not to be measured."""
    files = {"(source)": network.file(study.shared)}
    for method in PRUNERS:
        if "error" not in pruned(study, network, method):
            files[method] = figures_file(study, network, method)
    name, settings = f"{network.name}_latency", {"ratio": RATIO, "files": list(files)}
    if not measure and not (study.folder / f"{name}.json").is_file():
        return None

    def make() -> Figures:
        found = onnxprune.benchmark(list(files.values()), seconds=2 if study.quick else 20)
        rows = found.results[0].rows
        return {method: 1e3 * row.timing.median for method, row in zip(files, rows, strict=True)}

    return study.case(name, settings, make)


def latency_rows(study: Study, networks: Sequence[Network], *, measure: bool) -> list[list[str]]:
    """A row a network: milliseconds of every method; the fastest is bold."""
    rows = []
    for network in networks:
        found = latencies(study, network, measure=measure)
        if found is None:
            continue
        best = min(found.values())
        cells = [found.get(method) for method in ("(source)", *PRUNERS)]
        rows.append(
            [
                network.title,
                *("–" if ms is None else f"**{ms:.3f}**" if ms == best else f"{ms:.3f}" for ms in cells),
            ]
        )
    return rows


def zoo_rows(study: Study, folder: Path | None) -> list[list[str]]:
    """A row a torchvision network: what each method leaves and how long it takes."""
    import zoo

    rows = []
    for name, network in zoo.NETWORKS.items():
        source = None if folder is None else folder / f"{name}_ts_dyn.onnx"
        row = [name]
        for method in PLAIN:
            case = f"zoo_{name}_{slug(method)}"
            if (source is None or not source.is_file()) and not (study.folder / f"{case}.json").is_file():
                break
            task = Task(
                source or Path(), partial(zoo.build, name), (3, network.pixels, network.pixels), RATIO
            )
            output = study.folder / "zoo.onnx"
            found = study.case(case, {"ratio": RATIO}, partial(attempt, task, method, output))
            output.unlink(missing_ok=True)
            row += zoo_cells(found)
        if len(row) > 1:
            rows.append(row)
    return rows


def zoo_cells(found: Figures) -> list[str]:
    """Parameters, MACs and seconds of one method."""
    if "error" in found:
        return ["fails", "", ""]
    if found["parameters_left"] == 1:
        return ["untouched", "", f"{found['seconds']:.1f}"]
    return [f"{found['parameters_left']:.1%}", f"{found['macs_left']:.1%}", f"{found['seconds']:.1f}"]


def failures(study: Study) -> list[str]:
    """What the packages said where they failed, network by network."""
    import json

    found = {}
    for path in sorted(study.folder.glob("*.json")):
        error = json.loads(path.read_text())["figures"].get("error")
        if error:
            found[path.stem.removeprefix("zoo_")] = error
    return [f"- {name}: `{error}`" for name, error in found.items()]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    own = argparse.ArgumentParser(add_help=False)
    own.add_argument("--zoo", type=Path)
    own.add_argument("--latency", action="store_true")
    given, rest = own.parse_known_args(words)
    study = Study("peers", rest, about=(__doc__ or "").splitlines()[0])
    networks = [network for network in NETWORKS if network.file(study.shared).is_file()]
    if study.quick:
        networks = networks[:1]
    for network, method in study.share([(n, m) for n in networks for m in PRUNERS]):
        tuned(study, network, method)
    if study.partial:
        return
    page(study, networks, given.zoo, latency=given.latency or study.quick)


def page(study: Study, networks: Sequence[Network], zoo: Path | None, *, latency: bool) -> None:
    """The tables and what they mean."""
    heads = ["network", "method", "parameters left", "MACs left", "seconds", "accuracy, %", "fine-tuned, %"]
    rows = accuracy_rows(study, networks)
    parts = [_ABOUT.format(ratio=RATIO, **{n: version(p) for n, p in _VERSIONS.items()}), table(heads, rows)]
    times = latency_rows(study, networks, measure=latency)
    if times:
        parts += ["## Latency", _LATENCY, table(["network", "(source)", *PRUNERS], times)]
    parts.append(study.figure(partial(draw, rows)))
    found = [] if study.quick else zoo_rows(study, zoo)
    if found:
        heads = [
            "network",
            *(f"{method}: {what}" for method in PLAIN for what in ("parameters", "MACs", "s")),
        ]
        parts += ["## Networks of torchvision", _ZOO, table(heads, found)]
    said = failures(study)
    if said:
        parts += ["## What failed", "\n".join(said)]
    study.page("Other pruners, side by side", *parts)


def draw(rows: Sequence[Sequence[str]], axes: Any) -> None:
    """Accuracy after fine-tuning, a group of bars a network."""
    titles = list(dict.fromkeys(row[0] for row in rows))
    for place, method in enumerate(PRUNERS):
        heights = [
            next((float(row[6]) for row in rows if row[:2] == [title, method] and row[6]), np.nan)
            for title in titles
        ]
        axes.bar(np.arange(len(titles)) + 0.16 * (place - 2), heights, 0.15, label=method)
    axes.set_xticks(range(len(titles)), [title.replace(", ", "\n") for title in titles], fontsize=7)
    axes.set_ylim(80, 100)
    axes.set_ylabel("accuracy after fine-tuning, %")
    axes.legend(fontsize=7, ncols=3)


_VERSIONS = {"tp": "torch-pruning", "sim": "onnxsim"}

_ABOUT = """Torch-Pruning {tp} prunes the torch module, which is exported afterwards; onnxsim {sim} \
(`apply_structured_pruning`) and this package prune the ONNX file. All rank filters by their L2 norm \
and are asked for {ratio:.0%} fewer of them in every layer; `onnxprune, data` is what the command \
line does by itself with 512 training images without labels (`--data`: criterion `obs`, repair \
`lstsq`), `onnxprune, aligned` has counts that are multiples of 16. Parameters are those that torch \
counts. Seconds are those of the call in a running process, of Torch-Pruning with the export behind \
the plus; ours contain the proof against the masked source. Accuracies are on all 10,000 test \
images, as pruned and after fine-tuning by `onnxprune.training` with the same settings for all: 5 \
epochs for Fashion-MNIST and 12 for CIFAR-10, where published figures have 100 and more; the epoch \
is chosen on training images that are held back."""

_LATENCY = """Median milliseconds of a run in ONNX Runtime, batch 1, one thread, all files of a row \
in turns; the least is bold."""

_ZOO = """Untrained networks at the same ratio, parameters and multiply-accumulates left and \
seconds. `untouched`: the file came back as large as it went in, without an error. Torch-Pruning is \
given the module and the defaults of its pruner, no settings for single networks."""


if __name__ == "__main__":
    sys.exit(main())
