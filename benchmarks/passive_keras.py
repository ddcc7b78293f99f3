"""The passive study from Keras files: twins of its networks, and the authors' files."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from keras_twin import save_keras
from steps import prune_to, widths
from study import Figures, ImageSet, Study

import onnxprune
from onnxprune.calibration import ArraySamples
from onnxprune.evaluation import evaluate
from onnxprune.model import Model

TARGET = (11, 11, 22)
"""Filters of the authors' file in which all three layers are pruned."""


def possible() -> bool:
    """Whether Keras files can be read and written here."""
    return all(importlib.util.find_spec(name) for name in ("keras", "tensorflow", "tf2onnx"))


def convolutions(model: Model) -> Mapping[str, int]:
    """The three convolutions of a converted network and their filters."""
    return {name: size for name, size in widths(model).items() if "conv" in name}


def pruned(path: Path) -> Model:
    """Convert a Keras file and prune it to the authors' filters; the result is verified on the way."""
    model = onnxprune.convert(path)
    return prune_to(model, dict(zip(convolutions(model), TARGET, strict=True)), criterion="cosine")


def twin(study: Study, recipe: str, data: ImageSet) -> Figures:
    """Accuracy of the Keras twin of a trained network, pruned in all three layers."""

    def make() -> Figures:
        path = study.folder / f"{recipe}.keras"
        save_keras(study.source(recipe), path)
        model = pruned(path)
        path.unlink()
        samples = channels_last(study.samples(data, model, "test"))
        found = evaluate(model, samples, ["accuracy", "log_loss"], threads=study.threads)
        figures = {"accuracy": 100 * found["accuracy"], "log_loss": found["log_loss"]}
        return {**figures, "filters": list(convolutions(model).values())}

    return study.case(f"{recipe}_keras", {"target": TARGET}, make)


def authors(study: Study) -> Figures:
    """The authors' file in which C1 is pruned, pruned further in C2 and C3."""

    def make() -> Figures:
        model = pruned(study.shared / "models" / "dcase2021_passive_C1.h5")
        return {"filters": list(convolutions(model).values())}

    return study.case("authors_c1", {"target": TARGET}, make)


def channels_last(samples: ArraySamples) -> ArraySamples:
    """Samples (n 1 40 500) as Keras has them, (n 40 500 1)."""
    (batch,) = samples.batches(samples.count)
    return ArraySamples(
        {name: values.transpose(0, 2, 3, 1) for name, values in batch.feed.items()}, batch.labels
    )
