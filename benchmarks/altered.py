"""Training images that no network has seen: zoomed, turned, blurred and stretched, to choose settings by.

    python benchmarks/altered.py [--shared FOLDER] [--cache FOLDER] [--work FOLDER] [--count N]

A network that is fine-tuned is near 100 % on every image that its source was trained on, held back or not,
and test images must not choose anything. Altered copies of training images leave as much room as test images
do. The networks are those of ``benchmarks/finetuning.py`` for CIFAR-10, from the same ``--work``; one that is
not there is left out. Writes ``docs/benchmarks/altered.md``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import datasets
import finetuning
import numpy as np
from harness import table, write_page
from PIL import Image

from onnxprune import load_model
from onnxprune.calibration import ArraySamples
from onnxprune.calibration.model_inputs import model_inputs
from onnxprune.evaluation import Evaluation, Evaluator, Predict, predictor
from onnxprune.model.constants import Array

_SMOOTH = Image.Resampling.BICUBIC
_SIZE = (32, 32)

VIEWS: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "zoomed": lambda image: image.resize(_SIZE, _SMOOTH, box=(4, 4, 28, 28)),
    "turned": lambda image: image.rotate(15, _SMOOTH),
    "blurred": lambda image: image.resize((24, 24), _SMOOTH).resize(_SIZE, _SMOOTH),
    "stretched": lambda image: image.resize(_SIZE, _SMOOTH, box=(0, 5, 32, 27)),
}
"""A quarter of each side is cut away, 15 degrees, a quarter fewer pixels a side, a third of the height is cut
away; no training alters so."""


def altered(pixels: datasets.Pixels) -> dict[str, datasets.Images]:
    """Inputs for the networks, by what was done to the images, each ``(n 3 32 32)``."""
    return {
        name: datasets.prepare("cifar10", np.stack([np.asarray(change(Image.fromarray(p))) for p in pixels]))
        for name, change in VIEWS.items()
    }


def mirroring(predict: Predict) -> Predict:
    """The mean of what a network says of each image and of its mirror image."""

    def both(feed: Mapping[str, Array]) -> Mapping[str, Array]:
        turned = predict({name: np.ascontiguousarray(images[..., ::-1]) for name, images in feed.items()})
        return {name: (scores + turned[name]) / 2 for name, scores in predict(feed).items()}

    return both


def networks(shared: Path, work: Path) -> Iterator[tuple[str, Predict, float | None]]:
    """Titles, networks, and their accuracy on test images: the source, with mirrored images, and ``work``."""
    jobs = [job for job in finetuning.JOBS if job.path == finetuning.RESNET56_PATH]
    tested = {job.name: _tested(work, job) for job in jobs}
    source = predictor(load_model(shared / finetuning.RESNET56_PATH))
    yield "source", source, next((found["source"] for found in tested.values() if found), None)
    yield "source, mean with mirrored images", mirroring(source), None
    for job in jobs:
        for kind, title in (("pruned", "repaired"), ("tuned", "trained")):
            path = work / f"{job.name}.{kind}.onnx"
            if path.is_file():
                yield f"{job.title}: {title}", predictor(load_model(path)), tested[job.name].get(title)


def _tested(work: Path, job: finetuning.Job) -> dict[str, float]:
    path = work / f"{job.name}.accuracy.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def row(title: str, found: Sequence[Evaluation], on_test: float | None) -> list[str]:
    """Accuracy in each view and over all of them in percent, the log loss, and accuracy on test images."""
    hits = [100 * view["accuracy"] for view in found]
    loss = np.mean([view["log_loss"] for view in found])
    shown = "" if on_test is None else f"{on_test:.2f}"
    return [title, *(f"{h:.2f}" for h in hits), f"{np.mean(hits):.2f}", f"{loss:.3f}", shown]


def rows(shared: Path, kept: Path, work: Path, count: int) -> Iterator[list[str]]:
    """One for each network."""
    pixels, classes = datasets.load("cifar10", "train", shared=shared, kept=kept)
    chosen = np.random.default_rng(0).choice(len(pixels), count, replace=False)
    (taken,) = model_inputs(load_model(shared / finetuning.RESNET56_PATH))
    views = [
        Evaluator(ArraySamples({taken.name: images}, classes[chosen]), ["accuracy", "log_loss"])
        for images in altered(pixels[chosen]).values()
    ]
    for title, predict, on_test in networks(shared, work):
        yield row(title, [view.evaluate(predict) for view in views], on_test)


_INTRODUCTION = """ResNet-56 for CIFAR-10 and the networks made of it on [the page on training]\
(finetuning.md), in percent, on {count} training images that are zoomed in on, turned by 15 degrees, blurred \
or stretched. Training only mirrors, moves and mixes images, so that these are new to all of them: they tell \
networks apart that all have 99 to 100 % on the images as they are, and settings can be chosen by them \
without looking at test images. The last column, the whole test set, is for comparison and chose nothing."""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    datasets.add_arguments(parser)
    parser.add_argument("--work", type=Path, help="as for finetuning.py")
    parser.add_argument("--count", type=int, default=4000, help="images")
    given = parser.parse_args()
    found = rows(given.shared, given.cache, given.work or given.cache / "finetuning", given.count)
    text = table(["network", *VIEWS, "mean", "log loss", "test images"], found)
    write_page("altered", "Altered training images", _INTRODUCTION.format(count=given.count), text)


if __name__ == "__main__":
    main()
