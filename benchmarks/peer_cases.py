"""What is measured of this package and its peers on trained networks: size, seconds, accuracy, latency."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
from harness import ROOT
from native import native
from pruners import PRUNERS, Task
from study import BATCHES, CIFAR10, FASHION, Figures, ImageSet, Study, totals

import onnxprune
from onnxprune import load_model

RATIO = 0.4
SAMPLES = 512
LIMIT = 120
"""Seconds that a method may take on a network."""

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
    Network("MLP, Fashion-MNIST", "fixtures/mlp_fashion.onnx", FASHION, 1, "flip"),
    Network("VGG, Fashion-MNIST", "fixtures/vgg_fashion.onnx", FASHION, 1, "flip"),
    Network("ResNet, Fashion-MNIST", "fixtures/resnet_fashion.onnx", FASHION, 1, "flip"),
    Network("MobileNet, Fashion-MNIST", "fixtures/mobilenet_fashion.onnx", FASHION, 1, "flip"),
    Network("VGG-16, CIFAR-10", "fixtures/vgg16_cifar10.onnx", CIFAR10, 1, "cifar"),
    Network("ResNet-56, CIFAR-10", "models/resnet56_cifar10_bn.onnx", CIFAR10, 1, "cifar"),
)


def pruned(study: Study, network: Network, method: str) -> Figures:
    """Prune a trained network and measure the result; the file is kept beside the figures."""

    def make() -> Figures:
        task = task_of(study, network, data="data" in method)
        figures = attempt(task, method, study.folder / f"{network.name}_{slug(method)}.onnx")
        if "error" not in figures:
            figures |= study.measure(load_model(figures_file(study, network, method)), network.data)
        return figures

    settings = {"ratio": RATIO, "samples": SAMPLES, "quick": study.quick}
    return study.case(f"{network.name}_{slug(method)}", settings, make)


def task_of(study: Study, network: Network, *, data: bool) -> Task:
    """What the pruners are given."""
    source = network.file(study.shared)
    few = 64 if study.quick else SAMPLES
    samples = study.samples(network.data, source, "train", few, labels=False) if data else None
    return Task(source, partial(native, source), network.data.shape, RATIO, samples)


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
    return study.tuned_case(f"{network.name}_{slug(method)}_tuned", settings, make)


def attempt(task: Task, method: str, output: Path) -> Figures:
    """Seconds, and what is left; or what went wrong, in the words of the package."""
    before = totals(load_model(task.path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with limited(LIMIT):
                seconds = PRUNERS[method](task, output)
        run_once(output, task.shape)
        after = totals(load_model(output))
    except ImportError:
        raise
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


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Stop what takes longer.

    Raises:
        TimeoutError: it was stopped.
    """

    def stop(*_: object) -> None:
        raise TimeoutError(f"stopped after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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


def seconds(study: Study, network: Network, *, measure: bool) -> Figures | None:
    """Seconds of each method, the least of three runs; None where they are not kept and not to be measured.

    Those that ``pruned`` keeps come from processes that shared their machine.
    """
    methods = [method for method in PRUNERS if "error" not in pruned(study, network, method)]
    name = f"{network.name}_seconds"
    if not measure and not (study.folder / f"{name}.json").is_file():
        return None

    def make() -> Figures:
        task = task_of(study, network, data=True)
        output = study.folder / "timed.onnx"
        found = {}
        for method in methods:
            runs = [PRUNERS[method](task, output) for _ in range(1 if study.quick else 3)]
            found[method] = {key: min(run[key] for run in runs) for key in runs[0]}
        output.unlink(missing_ok=True)
        return found

    return study.case(name, {"ratio": RATIO, "methods": methods}, make)
