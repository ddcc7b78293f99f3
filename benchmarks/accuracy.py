"""Accuracy of the fixtures after pruning, without any training: what ratio and criterion cost.

    python benchmarks/accuracy.py --shared FOLDER

FOLDER holds ``data/fashion_mnist.npz`` with ``x_test`` and ``y_test``. Writes
``docs/benchmarks/accuracy.md``.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
from harness import ROOT, prune, table, write_page

MODELS = ("mlp", "vgg", "resnet", "mobilenet")
RATIOS = (0.1, 0.2, 0.3, 0.4)
AT = 0.2
"""Ratio at which criteria are compared."""
CRITERIA: dict[str, tuple[str, ...]] = {
    "l1": (),
    "l1, greedy": ("--scoring", "greedy"),
    "l2": ("--criterion", "l2"),
    "linf": ("--criterion", "linf"),
    "bn_scale": ("--criterion", "bn_scale"),
    "l1, global": ("--scope", "global"),
    "lamp, global": ("--criterion", "lamp", "--scope", "global", "--normalizer", "none"),
}
SEEDS = 3
MEAN, DEVIATION = 0.2860, 0.3530
BATCH = 500


@cache
def images(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """Test images (10000, 1, 28, 28) as the fixtures take them, and their classes."""
    path = shared / "data" / "fashion_mnist.npz"
    if not path.is_file():
        raise SystemExit(f"{path} is missing; give the folder that holds data/fashion_mnist.npz as --shared")
    with np.load(path) as data:
        pixels = data["x_test"][:, None].astype(np.float32) / 255
        return (pixels - np.float32(MEAN)) / np.float32(DEVIATION), data["y_test"]


def accuracy(path: Path, shared: Path) -> float:
    """Share of the test images that a file classifies correctly, in percent."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs, classes = images(shared)
    fixed = session.get_inputs()[0].shape[0]
    step = fixed if isinstance(fixed, int) else BATCH
    chunks = (inputs[start : start + step] for start in range(0, len(inputs), step))
    logits = np.concatenate([session.run(None, {"image": chunk})[0] for chunk in chunks])
    return 100 * float((logits.argmax(axis=1) == classes).mean())


def after(model: str, shared: Path, *options: str) -> float:
    """Accuracy of a fixture pruned by the command line."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pruned.onnx"
        prune(source(model), output, "--align", "off", *options)
        return accuracy(output, shared)


def source(model: str) -> Path:
    """The fixture of a name."""
    return ROOT / "fixtures" / f"{model}_fashion.onnx"


def by_ratio(shared: Path) -> str:
    """Accuracy of every fixture at every ratio, by L1 norm."""
    rows = []
    for model in MODELS:
        found = [accuracy(source(model), shared)]
        found += [after(model, shared, "--ratio", str(ratio)) for ratio in RATIOS]
        rows.append([model, *(f"{value:.1f}" for value in found)])
        print(rows[-1], flush=True)
    return table(["fixture", "source", *(f"{ratio}" for ratio in RATIOS)], rows)


def by_criterion(shared: Path) -> str:
    """Accuracy of every fixture at one ratio, by every criterion."""
    rows = []
    for name, options in CRITERIA.items():
        found = [after(model, shared, "--ratio", str(AT), *options) for model in MODELS]
        rows.append([name, *(f"{value:.1f}" for value in found)])
        print(rows[-1], flush=True)
    chance = [[random(model, seed, shared) for seed in range(SEEDS)] for model in MODELS]
    rows.append([f"random, mean of {SEEDS} seeds", *(f"{np.mean(values):.1f}" for values in chance)])
    return table(["criterion", *MODELS], rows)


def random(model: str, seed: int, shared: Path) -> float:
    """Accuracy after a random choice."""
    return after(model, shared, "--ratio", str(AT), "--criterion", "random", "--seed", str(seed))


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    shared = parser.parse_args().shared
    write_page(
        "accuracy",
        "Accuracy without training",
        "Accuracy in percent on the 10,000 test images of Fashion-MNIST after pruning with `--align off`, "
        "and nothing else: no data, no repair, no training. It shows what has to be won back by fine-tuning, "
        "not what pruning costs in the end. The fixtures are small and have little to spare.",
        "By `--ratio`, L1 norm, local scope:",
        by_ratio(shared),
        f"At `--ratio {AT}`, by criterion:",
        by_criterion(shared),
    )


if __name__ == "__main__":
    main()
