"""Short trainings of repaired networks: learning rates, and inner values beside the outputs.

    python benchmarks/distillation.py [--shared FOLDER] [--cache FOLDER] [--device cuda] [--part 1/4]
                                      [--quick]

Uses training images alone, so that defaults can be chosen by it. A network that is not there is left out:
SCNNB is trained by ``fixtures/make_fixtures.py --only scnnb_fashion --cache FOLDER/networks``. Writes
``docs/benchmarks/distillation.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness import table
from study import CIFAR10, FASHION, Figures, ImageSet, Study

import onnxprune
from onnxprune import load_model

LEFT = 0.476
"""Share of the multiply-accumulates, 2.1 times fewer."""

SAMPLES = 512
EPOCHS = 0.5
RATES = (0.004, 0.008)
WEIGHTS = (10.0, 1000.0)
"""Of the inner values, beside the default, at the larger rate."""
BLOCK_WEIGHTS = (100.0, 300.0, 1000.0)
"""Of the ends of all blocks, at the smaller one."""


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        path: in the cache if it begins with ``networks``, else in the shared folder.
        features: ``--features`` that it is trained with.
        blocks: names of the ends of all blocks that pruning leaves as they were.
    """

    title: str
    path: str
    data: ImageSet
    augment: str
    features: tuple[str, ...] = ("none", "auto")
    blocks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Stem of its file."""
        return Path(self.path).stem

    def file(self, study: Study) -> Path:
        """Where it is."""
        return (study.kept if self.path.startswith("networks") else study.shared) / self.path


NETWORKS = (
    Network(
        "ResNet-20, CIFAR-10",
        "models/resnet20_cifar10.onnx",
        CIFAR10,
        "cifar",
        blocks=("relu_2", "relu_4", "relu_6", "relu_8", "relu_10", "relu_12"),
    ),
    Network("SCNNB, Fashion-MNIST", "networks/scnnb_fashion.onnx", FASHION, "flip", ("none",)),
)


@dataclass(frozen=True)
class Way:
    """How a network is trained."""

    rate: float
    features: str
    weight: float = 100.0
    names: tuple[str, ...] = ()
    """Where ``features`` is none of the words that the settings know."""

    @property
    def name(self) -> str:
        """For file names."""
        return f"{self.rate}_{self.features}_{self.weight:g}"


def ways(network: Network) -> Sequence[Way]:
    """Every rate, with and without inner values where there are some; other weights of these, and more."""
    found = [Way(rate, features) for rate in RATES for features in network.features]
    found += [Way(RATES[1], "auto", weight) for weight in WEIGHTS if "auto" in network.features]
    names = network.blocks
    return [*found, *(Way(RATES[0], "blocks", weight, names) for weight in BLOCK_WEIGHTS if names)]


def cut(study: Study, network: Network) -> Path:
    """The network, pruned and repaired by the defaults with data."""
    path = study.folder / f"{network.name}.onnx"
    if not path.is_file():
        source = network.file(study)
        few = 64 if study.quick else SAMPLES
        samples = study.samples(network.data, source, "train", few, labels=False)
        options: dict[str, Any] = {"data": samples, "samples": few, "holdout": 0, "align": "off"}
        study.keep(network.name, onnxprune.prune(str(source), macs=f"{LEFT}x", threads=1, **options).model)
    return path


def run(study: Study, network: Network, way: Way) -> Figures:
    """One training; its start and end on images that are held back of the training set."""

    def make() -> Figures:
        found = study.train(
            load_model(cut(study, network)),
            network.data,
            EPOCHS,
            teacher=load_model(network.file(study)),
            lr=way.rate,
            features=way.names or (way.features,),
            feature_weight=way.weight,
            augment=network.augment,
            validation=0.04,
        )
        first, last = found.history[0], found.history[-1]
        return {
            "start": first.validation_loss,
            "end": last.validation_loss,
            "accuracy_start": 100 * first.metric,
            "accuracy": 100 * last.metric,
            "features": len(found.account["features"]),
            "seconds": last.seconds,
        }

    settings = {"epochs": EPOCHS, "left": LEFT, "samples": SAMPLES, "quick": study.quick}
    return study.case(f"{network.name}_{way.name}", settings, make)


def page(study: Study, networks: Sequence[Network]) -> None:
    """A table of the losses."""
    rows = []
    for network in networks:
        for way in ways(network):
            found = run(study, network, way)
            count = found["features"]
            rows.append(
                [
                    network.title,
                    f"{way.rate:g}",
                    f"{count}, weight {way.weight:g}" if count else "none",
                    f"{found['start']:.3f}",
                    f"{found['end']:.3f}",
                    f"{found['accuracy_start']:.1f}",
                    f"{found['accuracy']:.1f}",
                ]
            )
    heads = ["network", "rate", "inner values", "log-loss before", "after", "accuracy before, %", "after, %"]
    study.page(
        "Distillation: rates and inner values",
        _ABOUT.format(samples=SAMPLES, epochs=EPOCHS, times=1 / LEFT),
        table(heads, rows),
        study.figure(partial(draw, study, networks)),
    )


def draw(study: Study, networks: Sequence[Network], axes: Any) -> None:
    """Log-loss after the training against the rate, relative to the one before."""
    for place, network in enumerate(networks):
        for features in network.features:
            style = "-" if features == "auto" else "--"
            own = [way for way in ways(network) if way.features == features and way.weight == Way.weight]
            found = [run(study, network, way) for way in own]
            axes.plot(
                [way.rate for way in own],
                [figures["end"] / figures["start"] for figures in found],
                style,
                color=f"C{place}",
                marker=".",
                label=f"{network.title}, {'with' if features == 'auto' else 'without'} inner values",
            )
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("log-loss after / before")
    axes.axhline(1.0, color="grey", linewidth=0.5)
    axes.legend(fontsize=7)


_ABOUT = """Networks are pruned to {times:.1f} times fewer MACs and repaired by the defaults with \
data ({samples} training images without labels), then trained for {epochs:g} epochs with the \
network before pruning as the teacher and the other settings as they are by default. Log-loss in \
nats and accuracy are those on 4 % of the training images, which are held back here and which the \
sources were trained on; no test image is used. With `--features auto` the last inner values of \
each shape that pruning has left are compared with the teacher's, 2 of ResNet-20; 6 are the ends of \
all its blocks that pruning has left. Where every layer is cut there are none."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    study = Study("distillation", words, about=(__doc__ or "").splitlines()[0])
    networks = [network for network in NETWORKS if network.file(study).is_file()]
    networks = networks[:1] if study.quick else networks
    tasks = [(network, way) for network in networks for way in ways(network)]
    for network, way in study.share(tasks[:2] if study.quick else tasks):
        run(study, network, way)
    if study.quick:
        print([run(study, *task) for task in tasks[:2]])
    elif not study.partial:
        page(study, networks)


if __name__ == "__main__":
    main()
