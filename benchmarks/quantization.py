"""Pruned and quantised networks in one table: accuracy on the whole test set, size, latency.

    python benchmarks/quantization.py [--shared FOLDER] [--cache FOLDER] [--quick] [--latency] [--only NAME]

Models and figures are kept in the folder of the cache, so that a run that was stopped goes on. Latency
wants a machine with nothing else to do, so it is measured by a run of its own, with ``--latency``, once the
models are there; without it the page has the latency that was measured before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import harness
from harness import ROOT, table, write_page
from repair import Figures

from onnxprune import evaluate
from onnxprune.calibration import ArraySamples
from onnxprune.model import load_model

SAMPLES = 512
MACS = ("0.75x", "0.5x")
SECONDS = 12


@dataclass(frozen=True)
class Network:
    """A trained network: how tables call it, and where it is."""

    title: str
    path: str

    def file(self, shared: Path) -> Path:
        """Where it is."""
        return (ROOT if self.path.startswith("fixtures") else shared) / self.path


NETWORKS = (
    Network("ResNet-20", "models/resnet20_cifar10.onnx"),
    Network("ResNet-56", "models/resnet56_cifar10.onnx"),
)
QUICK = Network("VGG, Fashion-MNIST", "fixtures/vgg_fashion.onnx")


class Bench:
    """Makes the models and measures them.

    Args:
        shared: folder of shared material.
        kept: folder of the cache.
        images: of the test set, None for all.
    """

    def __init__(self, shared: Path, kept: Path, images: int | None) -> None:
        self.shared, self.kept, self.images = shared, kept, images
        self.folder = kept / "quantization"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.figures = Figures(self.folder / "figures.json")

    def models(self, network: Network) -> Mapping[str, Path]:
        """The source, the pruned models, and the int8 copy of each."""
        source = network.file(self.shared)
        found = {"source": source}
        for macs in MACS:
            path = self.folder / f"{source.stem}.{macs}.onnx"
            options = ["--macs", macs, "--samples", str(SAMPLES), *self._data(source)]
            self._once(path, "-o", str(path), "--holdout", "0", "-q", *options, model=source)
            found[f"pruned to {macs} MACs"] = path
        for name, path in list(found.items()):
            copy = self.folder / f"{path.stem}.int8.onnx"
            options = ["--samples", str(SAMPLES), "--holdout", "0", "-q", *self._data(source)]
            self._once(copy, "-o", str(copy), *options, model=path, verb="quantize")
            found[f"{name}, int8"] = copy
        return found

    def accuracy(self, network: Network, path: Path) -> float:
        """In percent, on all test images."""
        use = datasets.use_of(network.file(self.shared))
        assert use is not None
        key = ["accuracy", digest_of(path), str(self.images)]
        if self.figures.of(key) is None:
            pixels, classes = datasets.load(use.data, "test", shared=self.shared, kept=self.kept)
            model = load_model(path)
            (name,) = (entry.name for entry in model.proto.graph.input)
            samples = ArraySamples(
                {name: datasets.prepare(use.data, pixels[: self.images])}, classes[: self.images]
            )
            self.figures.keep(key, 100 * evaluate(model, samples, metrics=["accuracy"])["accuracy"])
        return float(self.figures.of(key))

    def measure_latency(self, network: Network) -> None:
        """All models of a network in turns, in one thread."""
        paths = list(self.models(network).values())
        command = [sys.executable, "-m", "onnxprune", "bench", *map(str, paths), "--seconds", str(SECONDS)]
        found = json.loads(harness.measure([*command, "--json"]).output)["results"][0]["models"]
        self.figures.keep(["latency", *map(digest_of, paths)], found)

    def latency(self, network: Network) -> Sequence[Any] | None:
        """What was measured before, by model; None where nothing was."""
        found: Sequence[Any] | None = self.figures.of(
            ["latency", *map(digest_of, self.models(network).values())]
        )
        return found

    def _data(self, source: Path) -> list[str]:
        """Training images without their labels."""
        data = datasets.data_options(source, shared=self.shared, kept=self.kept)
        data[1] = data[1].split(",")[0]
        return data

    def _once(self, path: Path, *options: str, model: Path, verb: str = "") -> None:
        if path.is_file():
            return
        print(f"making {path.name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "onnxprune", *([verb] if verb else []), str(model), *options]
        harness.measure(command)


def digest_of(path: Path) -> str:
    """What a file holds."""
    return sha256(path.read_bytes()).hexdigest()


def parts(bench: Bench, networks: Sequence[Network]) -> Iterator[str]:
    """A table a network, and what it shows."""
    yield _ABOUT.format(samples=SAMPLES, images="all" if bench.images is None else bench.images)
    for network in networks:
        latency = bench.latency(network)
        rows = []
        base = 0.0
        for place, (name, path) in enumerate(bench.models(network).items()):
            accuracy = bench.accuracy(network, path)
            base = base or accuracy
            times = ["", ""] if latency is None else _times(latency[place])
            size = f"{path.stat().st_size / 1e3:,.0f}"
            rows.append([name, f"{accuracy:.2f}", f"{accuracy - base:+.2f}", size, *times])
        yield f"## {network.title}"
        yield table(["model", "accuracy, %", "change", "size, kB", "p50, ms", "of the source's"], rows)


def _times(found: Mapping[str, Any]) -> list[str]:
    if "ratio" not in found:
        return [f"{found['p50_ms']:.3g}", "1"]
    low, high = found["ratio_interval"]
    return [f"{found['p50_ms']:.3g}", f"{found['ratio']:.3f} ({low:.3f} to {high:.3f})"]


_ABOUT = """Accuracy on {images} test images of CIFAR-10. `onnxprune MODEL --macs 0.5x --samples {samples} \
--holdout 0 --data FILE.npz:x_train --preprocess ...` prunes, aligned, with the criterion and the repair \
that it takes by itself (obs, lstsq); `onnxprune quantize` makes each int8 copy, with ranges read off as \
many training images. No labels are used, and nothing is trained. Latency is that of one image in ONNX \
Runtime, one thread, all models of a table in turns."""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    datasets.add_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="a small network, few images, no page")
    parser.add_argument(
        "--latency", action="store_true", help="measure latency, and nothing else that is known"
    )
    parser.add_argument("--only", default="", metavar="NAME", help="networks whose title contains this")
    arguments = parser.parse_args()
    bench = Bench(arguments.shared, arguments.cache, 1000 if arguments.quick else None)
    present = [n for n in NETWORKS if n.file(arguments.shared).is_file() and arguments.only in n.title]
    networks = [QUICK] if arguments.quick else present
    if arguments.latency or arguments.quick:
        for network in networks:
            bench.measure_latency(network)
    if arguments.latency and not arguments.quick:
        return
    found = list(parts(bench, networks))
    if arguments.quick:
        print("\n\n".join(found))
        return
    write_page("quantization", "Pruned and quantised", *found)


if __name__ == "__main__":
    main()
