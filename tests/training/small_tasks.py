"""A small network, its pruned copy, and samples that the network labels itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from small_networks import network

import onnxprune
from onnxprune.calibration import ArraySamples
from onnxprune.evaluation import predictor
from onnxprune.model import Model

INPUT = "image"


def source() -> Model:
    """Convolutions without batch normalisation, ten classes."""
    return onnxprune.load_model(network())


def samples(count: int = 256, *, labelled: bool = True, seed: int = 0) -> ArraySamples:
    """Random images, and what the source says about them."""
    images = np.random.default_rng(seed).standard_normal((count, 3, 8, 8)).astype(np.float32)
    session = ort.InferenceSession(network().SerializeToString(), providers=["CPUExecutionProvider"])
    labels = session.run(None, {INPUT: images})[0].argmax(axis=1)
    return ArraySamples({INPUT: images}, labels if labelled else None)


def pruned() -> Model:
    """A copy without a part of its channels."""
    return onnxprune.prune(source(), ratio=0.3, align="off").model


def write_files(folder: Path, count: int = 256) -> None:
    """The same as files: ``source.onnx``, ``pruned.onnx``, ``train.npz``."""
    onnx.save(network(), folder / "source.onnx")
    onnxprune.save_model(pruned(), folder / "pruned.onnx")
    (batch,) = samples(count).batches(count)
    np.savez(folder / "train.npz", x=batch.feed[INPUT], y=batch.labels)


def weights(model: Model) -> dict[str, np.ndarray]:
    """All constants."""
    return {name: np.array(model.constants[name].values()) for name in model.constants}


def outputs(model: Model, images: np.ndarray) -> np.ndarray:
    """What ONNX Runtime computes."""
    found = predictor(model)({INPUT: images})
    return np.asarray(next(iter(found.values())))
