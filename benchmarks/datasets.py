"""The shared data sets, and what makes their samples into inputs of the shared models and the fixtures.

    python benchmarks/datasets.py [--shared FOLDER] [--cache FOLDER]

lists them, and measures every model that a data set has labels for on its whole test set. The folder of
shared material is ``--shared``, else ``ONNXPRUNE_SHARED``, else ``shared`` beside the repository. What has
to be unpacked goes into the cache once; nothing is written into the shared folder or the repository.
"""

from __future__ import annotations

import argparse
import os
import runpy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from harness import ROOT, table

Pixels = npt.NDArray[Any]
Images = npt.NDArray[np.float32]
Classes = npt.NDArray[np.int64]

SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", ROOT.parent / "shared"))
"""Holds ``data`` and ``models``; only read."""

CACHE = Path(tempfile.gettempdir()) / "onnxprune-data"
"""Where unpacked data sets are kept."""

TITLES: Mapping[str, str] = {
    "fashion": "Fashion-MNIST",
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "esc10": "ESC-10, log-mel energies",
}
"""The data sets by the names that are used here."""

HELD_OUT_FOLD = 5
"""Of the five folds of ESC-10, the one that is the test set."""

FASHION_VALUES = "scale=1/255,mean=0.2860,std=0.3530"
IMAGENET_VALUES = "imagenet,resize=none,crop=none"
"""The published ResNets for CIFAR-10 are normalised with the values of ImageNet."""


@dataclass(frozen=True)
class Use:
    """What a model was trained on.

    Attributes:
        models: glob of file names without suffix.
        data: name of the data set.
        preprocess: what makes its samples into inputs, as ``--preprocess`` takes it.
        labels: whether its classes are those of the model.
    """

    models: str
    data: str
    preprocess: str
    labels: bool = True


USES = (
    Use("*_fashion", "fashion", FASHION_VALUES),
    Use("cp_resnet_mnist", "mnist", "scale=1/255,mean=0.1307,std=0.3081"),
    Use("lenet5_mnist", "mnist", "scale=1/255,pad=2"),
    Use("mlperf_resnet8_cifar10", "cifar10", "raw"),
    Use("*_cifar10*", "cifar10", IMAGENET_VALUES),
    Use("dcase2021_*", "esc10", "raw", labels=False),
)
"""The first that matches counts."""


def use_of(model: Path) -> Use | None:
    """The data set and the preprocessing of a shared model or a fixture, None where no set fits."""
    return next((use for use in USES if fnmatch(model.stem, use.models)), None)


def path_of(data: str, *, shared: Path = SHARED, kept: Path = CACHE) -> Path:
    """The ``.npz`` file of a data set, unpacked at the first use.

    Args:
        data: a name of ``TITLES``.
        shared: folder of shared material.
        kept: folder for what has to be unpacked.

    Returns:
        A file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``, samples as they are stored.

    Raises:
        SystemExit: the shared data are absent; says how to name the folder.
    """
    return READERS[data](shared, kept)


def load(data: str, part: str, *, shared: Path = SHARED, kept: Path = CACHE) -> tuple[Pixels, Classes]:
    """Samples as they are stored, and their classes, of ``train`` or ``test``."""
    with np.load(path_of(data, shared=shared, kept=kept)) as file:
        return file[f"x_{part}"], file[f"y_{part}"].astype(np.int64)


def prepare(data: str, pixels: Pixels) -> Images:
    """Images as the fixtures and the published ResNets take them: normalised, ``(n c h w)``.

    Args:
        data: ``fashion`` or ``cifar10``.
        pixels: (n, h, w) or (n, h, w, c) bytes.
    """
    from onnxprune.calibration.preprocess import parse_preprocess

    steps = parse_preprocess({"fashion": FASHION_VALUES, "cifar10": IMAGENET_VALUES}[data]).common
    images = pixels.reshape(*pixels.shape[:3], -1).astype(np.float32) * np.float32(steps.scale)
    images = (images - np.float32(steps.mean)) / np.float32(steps.std)
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def data_options(model: Path, part: str = "train", *, shared: Path = SHARED, kept: Path = CACHE) -> list[str]:
    """``--data`` and ``--preprocess`` for a shared model or a fixture, nothing where no data set fits."""
    use = use_of(model)
    if use is None:
        return []
    names = f"x_{part},y_{part}" if use.labels else f"x_{part}"
    return [
        "--data",
        f"{path_of(use.data, shared=shared, kept=kept)}:{names}",
        "--preprocess",
        use.preprocess,
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--shared`` and ``--cache``, for every benchmark that reads data."""
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder that holds data/ and models/")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where unpacked data sets are kept")


def _present(path: Path) -> Path:
    if not path.is_file():
        raise SystemExit(f"{path} is missing: name the folder of shared material with --shared")
    return path


def _cifar10(shared: Path, kept: Path) -> Path:
    packed = _present(shared / "data" / "cifar10.xz")

    def unpacked() -> Mapping[str, np.ndarray]:
        images, classes = runpy.run_path(str(packed.parent.parent / "tools" / "unpack_cifar10.py"))["load"]()
        return _divided(images, classes, np.arange(len(classes)) >= 50_000)

    return _cached(kept / "cifar10.npz", unpacked)


def _esc10(shared: Path, kept: Path) -> Path:
    packed = _present(shared / "data" / "esc10_logmel40x500.npz")

    def unpacked() -> Mapping[str, np.ndarray]:
        with np.load(packed) as file:
            return _divided(file["x"], file["y"], file["fold"] == HELD_OUT_FOLD)

    return _cached(kept / "esc10.npz", unpacked)


def _divided(samples: np.ndarray, classes: np.ndarray, held: np.ndarray) -> Mapping[str, np.ndarray]:
    return {
        "x_train": samples[~held],
        "y_train": classes[~held],
        "x_test": samples[held],
        "y_test": classes[held],
    }


def _cached(path: Path, make: Callable[[], Mapping[str, Any]]) -> Path:
    """The file, written in one step if it is not there yet; several processes may ask at once."""
    if not path.is_file():
        print(f"unpacking {path}", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.npz")
        np.savez(unfinished, **make())
        unfinished.replace(path)
    return path


READERS: Mapping[str, Callable[[Path, Path], Path]] = {
    "fashion": lambda shared, kept: _present(shared / "data" / "fashion_mnist.npz"),
    "mnist": lambda shared, kept: _present(shared / "data" / "mnist.npz"),
    "cifar10": _cifar10,
    "esc10": _esc10,
}


def _sizes(data: str, shared: Path, kept: Path) -> list[str]:
    with np.load(path_of(data, shared=shared, kept=kept)) as file:
        return [TITLES[data], *(f"{file[key].dtype}{list(file[key].shape)}" for key in ("x_train", "x_test"))]


def _measured(model: Path, use: Use, shared: Path, kept: Path) -> list[str]:
    from onnxprune import evaluate

    source = f"{path_of(use.data, shared=shared, kept=kept)}:x_test,y_test"
    found = evaluate(model, source, preprocess=use.preprocess, metrics=["accuracy"], threads=1)
    return [model.name, TITLES[use.data], f"`{use.preprocess}`", f"{100 * found['accuracy']:.2f}"]


def main() -> None:
    """List the sets and measure the models."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_arguments(parser)
    given = parser.parse_args()
    shared, kept = given.shared, given.cache
    print(
        table(["data set", "x_train", "x_test"], [_sizes(data, shared, kept) for data in TITLES]), end="\n\n"
    )
    models = sorted([*(ROOT / "fixtures").glob("*.onnx"), *(shared / "models").glob("*.onnx")])
    uses = [(path, use) for path in models if (use := use_of(path)) is not None and use.labels]
    rows = [_measured(path, use, shared, kept) for path, use in uses]
    print(table(["model", "data set", "preprocessing", "accuracy, %"], rows))


if __name__ == "__main__":
    main()
