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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import datasets
import finetuning
import numpy as np
import numpy.typing as npt
from harness import table, write_page
from PIL import Image

from onnxprune import load_model
from onnxprune.evaluation import predictor
from onnxprune.model import Model

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

_AT_ONCE = 250

Scores = npt.NDArray[np.float64]


def altered(pixels: datasets.Pixels) -> dict[str, datasets.Images]:
    """Inputs for the networks, by what was done to the images, each ``(n 3 32 32)``."""
    return {
        name: datasets.prepare("cifar10", np.stack([np.asarray(change(Image.fromarray(p))) for p in pixels]))
        for name, change in VIEWS.items()
    }


def log_probabilities(model: Model, images: datasets.Images) -> Scores:
    """What a network says, (n, classes)."""
    run, (name,) = predictor(model), (value.name for value in model.proto.graph.input)
    parts = (images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE))
    scores = np.concatenate([next(iter(run({name: part}).values())) for part in parts]).astype(np.float64)
    return normalised(scores)


def normalised(scores: Scores) -> Scores:
    """Logarithms of probabilities, from scores of any offset, (n, classes)."""
    scores = scores - scores.max(1, keepdims=True)
    found: Scores = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return found


def row(
    title: str, found: Mapping[str, Scores], classes: datasets.Classes, tested: float | None
) -> list[str]:
    """Accuracy in each view and over all of them in percent, the log loss, and accuracy on test images."""
    hits = [100 * float((scores.argmax(1) == classes).mean()) for scores in found.values()]
    loss = np.mean([-scores[np.arange(len(classes)), classes].mean() for scores in found.values()])
    on_test = "" if tested is None else f"{tested:.2f}"
    return [title, *(f"{h:.2f}" for h in hits), f"{np.mean(hits):.2f}", f"{loss:.3f}", on_test]


def rows(shared: Path, work: Path, count: int, packed: Path) -> Iterator[list[str]]:
    """Source, source with mirrored images beside, and the networks from ``work``."""
    with np.load(packed) as file:
        chosen = np.random.default_rng(0).choice(len(file["x_train"]), count, replace=False)
        pixels, classes = file["x_train"][chosen], file["y_train"][chosen].astype(np.int64)
    views = altered(pixels)

    def found(path: Path) -> dict[str, Scores]:
        model = load_model(path)
        return {name: log_probabilities(model, images) for name, images in views.items()}

    jobs = [job for job in finetuning.JOBS if job.path.endswith("resnet56_cifar10.onnx")]
    source = load_model(shared / jobs[0].path)
    tested = {job.name: _tested(work, job) for job in jobs}
    own = {name: log_probabilities(source, images) for name, images in views.items()}
    turned = {name: log_probabilities(source, images[..., ::-1].copy()) for name, images in views.items()}
    both = {name: normalised((own[name] + turned[name]) / 2) for name in views}
    yield row("source", own, classes, next((t["source"] for t in tested.values() if t), None))
    yield row("source, mean with mirrored images", both, classes, None)
    for job in jobs:
        for kind, title in (("pruned", "repaired"), ("tuned", "trained")):
            path = work / f"{job.name}.{kind}.onnx"
            if path.is_file():
                yield row(f"{job.title}: {title}", found(path), classes, tested[job.name].get(title))


def _tested(work: Path, job: finetuning.Job) -> dict[str, float]:
    path = work / f"{job.name}.accuracy.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


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
    packed = datasets.path_of("cifar10", shared=given.shared, kept=given.cache)
    found = rows(given.shared, given.work or given.cache / "finetuning", given.count, packed)
    text = table(["network", *VIEWS, "mean", "log loss", "test images"], found)
    write_page("altered", "Altered training images", _INTRODUCTION.format(count=given.count), text)


if __name__ == "__main__":
    main()
