"""Runs that the tests of this folder stop: what they begin with, their options, and what they keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_networks import network, save

IMAGES = np.random.default_rng(1).standard_normal((60, 3, 8, 8)).astype(np.float32)


def beside(folder: Path) -> None:
    """A model with external data."""
    onnx.save(network(), folder / "model.onnx", save_as_external_data=True, location="model.bin")


def small(folder: Path) -> None:
    """A model in one file, and samples."""
    save(folder, network())
    np.savez(folder / "x.npz", x=IMAGES)


def noisy(folder: Path) -> None:
    """The same, and a copy of the model whose weights are off, which has something to learn from it."""
    small(folder)
    model = network()
    rng = np.random.default_rng(2)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        off = values + 0.1 * rng.standard_normal(values.shape).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(off, tensor.name))
    save(folder, model, "noisy.onnx")


@dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
        make: puts what it begins with into a folder.
        arguments: of the command line.
        kept: how the names of files begin by which it goes on.
        settled: whether these files are the same at the end, however often it was stopped.
        needs: package that is not part of every installation.
        exact: whether it gives the same bytes each time; if not, it is led by times that it measures.
    """

    make: Callable[[Path], None]
    arguments: tuple[str, ...]
    kept: tuple[str, ...] = ()
    settled: bool = True
    needs: str = ""
    exact: bool = True


FAST = ("model.onnx", "--no-verify", "--ratio", "0.5", "--align", "off", "-o", "out.onnx")
REPORTS = ("--report", "r.json", "--report", "r.md", "--report", "r.html")
SAMPLES = ("--data", "x.npz", "--samples", "30", "--threads", "1")
SCAN = ("--data", "x.npz", "--ratios", "0.5", "--cache", "c", "--threads", "1")
PLAIN = ("--align", "off", "-o", "out.onnx", "--report", "r.json")
TRAIN = ("--batch", "16", "--lr", "0.001", "--threads", "1", "--save-every", "0")
SWEEP = ("--criteria", "l1", "--repairs", "none,lstsq", "--holdout", "30", "--no-latency", "--align", "off")
STUDY = ("out/cache/", "out/study.", "out/.study.", "out/offers.lock")

CASES: Mapping[str, Case] = {
    "several reports": Case(small, (*FAST, *REPORTS)),
    "external data": Case(beside, (*FAST, "--report", "r.json")),
    "a quantised copy": Case(small, (*FAST, "--quantize", "fp16")),
    "samples": Case(small, ("model.onnx", *SAMPLES, "--ratio", "0.5", *PLAIN)),
    "a scan": Case(small, ("sensitivity", "model.onnx", *SCAN, "--report", "r.json"), ("c/",)),
    "a bound on the loss": Case(
        small,
        ("model.onnx", *SAMPLES, "--holdout", "30", "--max-drop", "20", "--cache", "c", *PLAIN),
        ("c/",),
    ),
    "a latency": Case(
        small,
        ("model.onnx", "--latency", "0.7x", "--cache", "c", "--threads", "1", "-o", "out.onnx"),
        ("c/",),
        settled=False,
        exact=False,
    ),
    "a sweep": Case(
        small,
        ("sweep", "model.onnx", *SAMPLES, *SWEEP, "--ratios", "0.3,0.5", "-o", "out"),
        STUDY,
        settled=False,
        needs="optuna",
    ),
    "training": Case(
        noisy,
        (
            *("finetune", "noisy.onnx", "--train-data", "x.npz", "--teacher", "model.onnx", "--epochs", "8"),
            *(*TRAIN, "-o", "out.onnx"),
        ),
        ("out.run/",),
        needs="torch",
    ),
    "steps with training": Case(
        small,
        (
            *("model.onnx", *SAMPLES, "--ratio", "0.5", "--steps", "2", "--repair", "bias", *PLAIN[:4]),
            *("--train-data", "x.npz", "--finetune", "4", *TRAIN[:4], "--save-every", "0"),
        ),
        ("out.run/",),
        needs="torch",
    ),
}


def begun(case: Case, folder: Path) -> None:
    """Put what a case begins with into a folder; skips where a package is missing that it needs."""
    if case.needs:
        pytest.importorskip(case.needs)
    case.make(folder)
