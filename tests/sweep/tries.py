"""A small network with samples that it gets right, and sweeps of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from small_networks import network

from onnxprune.api.sweeping import run_sweep
from onnxprune.sweep import Sweep

IMAGES = np.random.default_rng(1).standard_normal((80, 3, 8, 8)).astype(np.float32)
MODEL = network()


def labels() -> np.ndarray:
    session = ort.InferenceSession(MODEL.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGES})[0].argmax(axis=1)


def swept(folder: Path, **given: object) -> Sweep:
    """A sweep that is as cheap as one can be."""
    usual: dict[str, object] = {
        "ratios": (0.25, 0.5),
        "criteria": ("l1",),
        "repairs": ("none",),
        "samples": 40,
        "holdout": 40,
        "latency": False,
        "seconds": 0.05,
        "align": "off",
        "threads": 1,
    }
    return run_sweep(MODEL, (IMAGES, labels()), output=folder / "out", **{**usual, **given})


def models(folder: Path) -> set[str]:
    return {path.name for path in (folder / "out/models").iterdir()}
