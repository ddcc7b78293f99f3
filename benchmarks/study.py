"""What the studies of published methods share: sources, cases that are kept, measures, fine-tuning, plots.

A study is a script with one command. Whatever it measures is a *case*: a name, the settings that decide it,
and figures, kept in a file of its own in the cache, so that a run that was interrupted goes on, several
processes can share the work (``--part 1/4``), and training on one machine can be followed by tables on
another.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import datasets
import harness
import numpy as np
import onnx
from harness import ROOT

from onnxprune import couple, load_model, save_model
from onnxprune.calibration import ArraySamples
from onnxprune.evaluation import evaluate
from onnxprune.model import Model

sys.path.insert(0, str(ROOT / "fixtures"))
import make_fixtures
from export import export
from image_sets import CIFAR10, ESC10, FASHION, MNIST, ImageSet
from training import Recipe

if TYPE_CHECKING:
    from onnxprune.training import Trained

Item = TypeVar("Item")
Figures = dict[str, Any]

SETS: Mapping[str, ImageSet] = {
    "fashion": FASHION,
    "mnist": MNIST,
    "cifar10": CIFAR10,
    **{f"esc10_fold{fold}": data for fold, data in ESC10.items()},
}
BATCHES: Mapping[str, Any] = {"batch": 256, "lr": 0.04}
"""Of fine-tuning on images: twice the usual, as a GPU does little on 128 small images."""

QUICK_IMAGES = 256
"""Images of a quick run, for training and for measuring, where a study names no other number."""


class Study:
    """One study with its arguments.

    Attributes:
        name: of the script, the page and the folder in the cache.
        quick: whether networks are untrained and images few, and nothing is written into ``docs``.
        device: that networks are trained on.
        untuned: whether fine-tuning is left out, so that only what is kept of it is shown.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str] | None = None,
        *,
        about: str = "",
        quick_images: int = QUICK_IMAGES,
    ) -> None:
        parser = argparse.ArgumentParser(description=about)
        datasets.add_arguments(parser)
        parser.add_argument("--device", default="cpu", help="that networks are trained on: cpu or cuda")
        parser.add_argument("--threads", type=int, default=1, help="of torch and ONNX Runtime")
        parser.add_argument("--part", default="", help="I/N: measure the I-th of N shares, write no page")
        parser.add_argument("--untuned", action="store_true", help="no fine-tuning that is not in the cache")
        parser.add_argument("--quick", action="store_true", help="untrained networks, few images, no page")
        given = parser.parse_args(words)
        self.untuned = given.untuned
        self.name, self.quick, self.device = name, given.quick, given.device
        self.shared, self.kept, self.threads = given.shared, given.cache, given.threads
        self.part = tuple(map(int, given.part.split("/"))) if given.part else (1, 1)
        self._quick_images = quick_images
        self._scratch = tempfile.TemporaryDirectory() if given.quick else None
        self.folder = Path(self._scratch.name) if self._scratch else self.kept / name
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def partial(self) -> bool:
        """Whether other processes do the rest, so that there is no page yet."""
        return self.part[1] > 1

    def share(self, items: Sequence[Item]) -> list[Item]:
        """What this process has to do."""
        first, count = self.part
        return list(items[first - 1 :: count])

    # cases

    def tuned_case(
        self, name: str, settings: Mapping[str, Any], make: Callable[[], Figures]
    ) -> Figures | None:
        """The same for a case that takes a training; None where it is not kept and trainings are left out."""
        kept = self.kept_case(name, settings)
        return kept if kept is not None or self.untuned else self.case(name, settings, make)

    def kept_case(self, name: str, settings: Mapping[str, Any]) -> Figures | None:
        """Figures that are kept from before with the same settings."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        kept = json.loads(path.read_text())
        return dict(kept["figures"]) if kept["settings"] == json.loads(json.dumps(settings)) else None

    def case(self, name: str, settings: Mapping[str, Any], make: Callable[[], Figures]) -> Figures:
        """Figures of a case, measured unless they are kept from before with the same settings."""
        kept = self.kept_case(name, settings)
        if kept is not None:
            return kept
        path = self.folder / f"{name}.json"
        wanted = json.loads(json.dumps(settings))
        start = time.perf_counter()
        figures = make()
        text = json.dumps({"settings": wanted, "figures": figures}, indent=1)
        unfinished = self.folder / f"{name}.{os.getpid()}.part"
        unfinished.write_text(text)
        unfinished.replace(path)
        print(f"{name}: {_brief(figures)}, {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        return dict(json.loads(text)["figures"])

    def keep(self, name: str, model: Model) -> Path:
        """Write a model beside the figures of its case."""
        path = self.folder / f"{name}.onnx"
        save_model(model, path)
        return path

    # networks and data

    def source(self, name: str) -> Path:
        """The trained network of a recipe, trained now if there is none; untrained in a quick run."""
        recipe = make_fixtures.RECIPES[name]
        networks = self.kept / "networks"
        if self.untuned and not make_fixtures.path_of(name, networks).is_file():
            raise SystemExit(f"{name} is not trained yet, and --untuned leaves trainings out")
        if not self.quick:
            return make_fixtures.make(name, self._pixels, networks, device=self.device)
        return untrained(recipe, self.folder / f"{name}.onnx")

    def samples(
        self, data: ImageSet, model: Model | Path, part: str, limit: int | None = None, *, labels: bool = True
    ) -> ArraySamples:
        """Prepared images, the first ones up to the limit; training sets are shuffled already."""
        loaded = load_model(model) if isinstance(model, Path) else model
        (name,) = (entry.name for entry in loaded.proto.graph.input)
        most = self._quick_images if self.quick and limit is None else limit
        pixels, classes = self._pixels(data, part)
        images = data.prepare(pixels[:most])
        known = classes[:most] if labels else None
        return ArraySamples({name: images}, known, description=f"{data.suffix} {part}")

    def measure(self, model: Model, data: ImageSet) -> Figures:
        """Accuracy in percent and log-loss in nats on the whole test set."""
        samples = self.samples(data, model, "test")
        found = evaluate(model, samples, ["accuracy", "log_loss"], threads=self.threads)
        return {"accuracy": 100 * found["accuracy"], "log_loss": found["log_loss"]}

    def tune(
        self, model: Model, data: ImageSet, epochs: float, *, teacher: Model | None = None, **options: Any
    ) -> Model:
        """Fine-tune on the training set; the weights of the best epoch on a part held back of it."""
        return self.train(model, data, epochs, teacher=teacher, **options).model

    def train(
        self, model: Model, data: ImageSet, epochs: float, *, teacher: Model | None = None, **options: Any
    ) -> Trained:
        """The same with an account of it; ends the process where it is told to stop."""
        from onnxprune.training import TrainSettings, train

        settings = TrainSettings(
            epochs=min(epochs, 0.5) if self.quick else epochs,
            device=self.device,
            threads=self.threads,
            **options,
        )
        found = train(model, self.samples(data, model, "train"), settings, teacher=teacher)
        if found.interrupted:
            raise SystemExit("stopped; the same command goes on with the case that it was at")
        return found

    @cache  # noqa: B019  there is one study, which lives as long as the process
    def _pixels(self, data: ImageSet, part: str) -> tuple[Any, Any]:
        return data.load(self.shared, self.kept, part)

    # pages

    def page(self, title: str, *parts: str) -> None:
        """Write the page; a quick run prints it and writes nothing."""
        if self.quick:
            print("\n\n".join(parts))
        else:
            harness.write_page(self.name, title, *parts)

    def figure(self, draw: Callable[[Any], None], *, wide: float = 7, high: float = 4) -> str:
        """Draw a plot and return the line that shows it; a quick run draws it and throws it away."""
        path = (self.folder if self.quick else harness.PAGES) / f"{self.name}.png"
        plot(path, draw, wide=wide, high=high)
        return f"![{self.name}]({path.name})"


def shown(figures: Figures | None, key: str = "accuracy", digits: int = 2) -> str:
    """A figure for a table; a dash where it was not measured."""
    return "–" if figures is None else f"{figures[key]:.{digits}f}"


def plot(path: Path, draw: Callable[[Any], None], *, wide: float = 7, high: float = 4) -> None:
    """Write a small PNG; ``draw`` is given the axes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(wide, high), dpi=90)
    draw(axes)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def untrained(recipe: Recipe, path: Path) -> Path:
    """Export a network with fresh weights."""
    import torch

    torch.manual_seed(0)
    export(recipe, recipe.build().eval(), path)
    return path


def totals(model: Model) -> tuple[int, int]:
    """Parameters as torch counts them, and multiply-accumulates of a sample.

    Running statistics are none, what exporters merged because it was equal (the biases of two
    normalisations that are added up) counts in each normalisation, and what nothing reads does not count.
    """
    readers = Counter(name for node in model.proto.graph.node for name in node.input)
    origin = {node.output[0]: node.input[0] for node in model.proto.graph.node if node.op_type == "Identity"}
    norms = [node for node in model.proto.graph.node if node.op_type == "BatchNormalization"]
    statistics = {origin.get(name, name) for node in norms for name in node.input[3:5]}
    uses = Counter(origin.get(name, name) for node in norms for name in node.input[1:3])
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    aliases = Counter(source for alias, source in origin.items() if alias not in readers)
    parameters = sum(
        constant.size * max(1, uses[name])
        for name, constant in model.constants.items()
        if constant.data_type in floats
        and (name in uses or name not in statistics)
        and readers[name] > aliases[name]
    )
    structure = couple(model).structure
    macs = structure.sizes.totals(np.ones(len(structure.groups)))["macs"]
    return parameters, round(macs)


def _brief(figures: Figures) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in figures.items() if isinstance(value, int | float))
