"""Accuracy after pruning, with and without repair, without any training and without labels.

    python benchmarks/repair.py [--shared FOLDER] [--cache FOLDER] [--quick]

Prunes the published ResNets for CIFAR-10 and the fixtures with the command line, at 25 % and 50 % fewer MACs,
calibrated on training images, and measures the results on the whole test set. Figures that were measured
before are taken from the cache. Writes ``docs/benchmarks/repair.md``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import datasets
import harness
from criteria import shared_groups
from harness import ROOT, table, write_page

from onnxprune import couple, load_model
from onnxprune.calibration import ArraySamples
from onnxprune.evaluation import evaluate

SAMPLES = 512
COUNTS = (64, 128, 256, 512, 1024)
MACS = (0.75, 0.5)
PLAIN = ("--criterion", "l1", "--repair", "none")
"""What a pruner without data does; channels of residual streams are left alone, as they cost most."""


@dataclass(frozen=True)
class Network:
    """A network of the table."""

    title: str
    path: str

    def file(self, shared: Path) -> Path:
        """Where it is."""
        return (ROOT if self.path.startswith("fixtures") else shared) / self.path


NETWORKS = (
    Network("ResNet-56, CIFAR-10", "models/resnet56_cifar10.onnx"),
    Network("ResNet-20, CIFAR-10", "models/resnet20_cifar10.onnx"),
    Network("VGG-16 style, CIFAR-10", "fixtures/vgg16_cifar10.onnx"),
    Network("VGG, Fashion-MNIST", "fixtures/vgg_fashion.onnx"),
    Network("MobileNet, Fashion-MNIST", "fixtures/mobilenet_fashion.onnx"),
    Network("MLP, Fashion-MNIST", "fixtures/mlp_fashion.onnx"),
)

METHODS: Mapping[str, Sequence[str]] = {
    "l1": PLAIN,
    "l1, lstsq": ("--criterion", "l1", "--repair", "lstsq"),
    "obs": ("--repair", "none"),
    "obs, obs": ("--repair", "obs"),
    "obs, lstsq": (),
}
"""Criterion and repair; the last one is what the command line does by itself when it is given data."""


class Figures:
    """What was measured, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, key: Sequence[str]) -> Any:
        """A figure that is known, or None."""
        return self._known.get(_digest(key))

    def keep(self, key: Sequence[str], value: Any) -> None:
        """Write a figure down."""
        self._known[_digest(key)] = value
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".part")
        unfinished.write_text(json.dumps(self._known))
        unfinished.replace(self._path)


class Bench:
    """Runs the command line and measures what comes out."""

    def __init__(self, shared: Path, kept: Path, *, images: int | None) -> None:
        self.shared, self.kept, self.images = shared, kept, images
        self.figures = Figures(kept / "repair.json")

    def base(self, network: Network) -> float:
        """Accuracy of the source, in percent."""
        path = network.file(self.shared)
        key = ["base", path.name, sha256(path.read_bytes()).hexdigest(), str(self.images)]
        if self.figures.of(key) is None:
            self.figures.keep(key, self._accuracy(path, network))
        return float(self.figures.of(key))

    def run(self, network: Network, macs: float, options: Sequence[str], samples: int, seed: int) -> Any:
        """``accuracy`` in percent, ``macs`` left, ``seconds`` of the command, ``error`` of the proof."""
        path = network.file(self.shared)
        command = ["--macs", f"{macs:g}x", "--align", "off", "--seed", str(seed), *options]
        if "l1" in options:
            command += [
                w for g in shared_groups(couple(load_model(path)).structure) for w in ("--exclude", g)
            ]
        key = [sha256(path.read_bytes()).hexdigest(), *command, str(samples), str(self.images)]
        if self.figures.of(key) is None:
            data = datasets.data_options(path, shared=self.shared, kept=self.kept)
            data[1] = data[1].split(",")[0]  # no labels
            with tempfile.TemporaryDirectory() as folder:
                output = Path(folder) / "pruned.onnx"
                measured, report = harness.prune(path, output, *command, *data, "--samples", str(samples))
                before, after = report["totals"]["macs"]
                found = {
                    "accuracy": self._accuracy(output, network),
                    "macs": after / before,
                    "seconds": measured.seconds,
                    "error": report["verification"]["masked_equivalence"]["max_relative_error"],
                }
            self.figures.keep(key, found)
        return self.figures.of(key)

    def _accuracy(self, path: Path, network: Network) -> float:
        use = datasets.use_of(network.file(self.shared))
        assert use is not None
        pixels, classes = datasets.load(use.data, "test", shared=self.shared, kept=self.kept)
        model = load_model(path)
        (name,) = (entry.name for entry in model.proto.graph.input)
        images = datasets.prepare(use.data, pixels[: self.images])
        return (
            100
            * evaluate(model, ArraySamples({name: images}, classes[: self.images]), ["accuracy"])["accuracy"]
        )


def _digest(key: Sequence[str]) -> str:
    return sha256(json.dumps(list(key)).encode()).hexdigest()


def methods_part(bench: Bench, networks: Sequence[Network]) -> Iterator[str]:
    """Every network and method."""
    yield "## Methods"
    yield _METHODS.format(samples=SAMPLES)
    rows = []
    for network in networks:
        base = bench.base(network)
        for macs in MACS:
            found = [bench.run(network, macs, options, SAMPLES, 0) for options in METHODS.values()]
            cells = [cell["accuracy"] for cell in found]
            figures = [base, *cells, base - cells[-1]]
            rows.append([f"{network.title}, −{1 - macs:.0%}", *(f"{figure:.2f}" for figure in figures)])
    yield table(["network, MACs", "source", *METHODS, "lost"], rows)


def samples_part(bench: Bench, network: Network, counts: Sequence[int], macs: float) -> Iterator[str]:
    """How many samples it takes."""
    yield f"## Samples: {network.title}, −{1 - macs:.0%}"
    yield _SAMPLES.format(base=f"{bench.base(network):.2f}")
    rows = []
    for count in counts:
        plain, mended = (bench.run(network, macs, METHODS[name], count, 0) for name in ("obs", "obs, lstsq"))
        rows.append(
            [count, f"{plain['accuracy']:.2f}", f"{mended['accuracy']:.2f}", f"{mended['seconds']:.0f}"]
        )
    yield table(["samples", "no repair", "lstsq", "seconds"], rows)


def proof_part(bench: Bench, networks: Sequence[Network]) -> Iterator[str]:
    """What was verified before the repair."""
    pairs = [(macs, bench.run(network, macs, (), SAMPLES, 0)) for network in networks for macs in MACS]
    error = max(found["error"] for _, found in pairs)
    most = max(abs(found["macs"] - macs) for macs, found in pairs)
    yield _PROOF.format(error=f"{error:.0e}", most=f"{most:.1%}")


_METHODS = """Accuracy in percent on all test images. Every run is one command, `onnxprune MODEL --macs \
0.75x --align off --data FILE.npz:x_train --samples {samples} --preprocess ...`; the last \
method is what it does by itself, the others have `--criterion` and `--repair` as named. No \
labels are used. With `l1`, which cannot tell what they are worth, the channels of residual \
streams are excluded."""

_SAMPLES = """Accuracy in percent on all test images, by the number of training images that it was \
calibrated on (seed 0, no labels). The source has {base}. Seconds are those of the whole \
command, the start of Python included."""

_PROOF = """Before each repair the plain cut was verified: largest masked-equivalence error {error}. The \
MACs left, as the tool counts them, differ from the target by at most {most} of the source."""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    datasets.add_arguments(parser)
    parser.add_argument("--quick", action="store_true", help="two small networks, few images, no page")
    arguments = parser.parse_args()
    bench = Bench(arguments.shared, arguments.cache, images=1000 if arguments.quick else None)
    present = [network for network in NETWORKS if network.file(arguments.shared).is_file()]
    if arguments.quick:
        present = [n for n in present if "MLP" in n.title or n.title.startswith("VGG, ")]
    parts = list(methods_part(bench, present))
    if not arguments.quick:
        parts += samples_part(bench, NETWORKS[0], COUNTS, 0.5)
    parts += proof_part(bench, present)
    if arguments.quick:
        print("\n\n".join(parts))
        return
    write_page("repair", "Accuracy won back without training", *parts)


if __name__ == "__main__":
    main()
