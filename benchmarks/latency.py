"""Latency of pruned networks in ONNX Runtime, one thread, against their sources.

    python benchmarks/latency.py FOLDER [--models resnet18,mobilenet_v2] [--rounds 40]

FOLDER holds the exports that ``benchmarks/zoo.py`` makes. Each network is pruned twice by the command line,
aligned (the default) and with ``--align off``, and all three run in turns in one process, so that a change in
the machine's pace meets all of them. Writes ``docs/benchmarks/latency.md``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from harness import ROOT, exports, prune, table, write_page

MODELS = (
    "resnet18 resnet50 mobilenet_v2 mobilenet_v3_large efficientnet_b0 densenet121 vgg16_bn "
    "squeezenet1_1 googlenet inception_v3 regnet_y_400mf resnext50_32x4d shufflenet_v2_x1_0 convnext_tiny "
    "vit_b_16 swin_t"
)
VARIANTS = ("dynamo_static", "ts_static", "ts_dyn")
WARM_UP = 3
PIXELS = 224


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one run: median and the quartiles around it."""

    low: float
    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def session(path: Path) -> ort.InferenceSession:
    """A session with default optimisation on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feed_of(model: ort.InferenceSession) -> dict[str, np.ndarray]:
    """One random image."""
    rng = np.random.default_rng(0)
    feed = {}
    for value in model.get_inputs():
        shape = [
            d if isinstance(d, int) else (1 if axis == 0 else PIXELS) for axis, d in enumerate(value.shape)
        ]
        feed[value.name] = rng.standard_normal(shape).astype(np.float32)
    return feed


def in_turns(paths: dict[str, Path], rounds: int) -> dict[str, Timing]:
    """Time all models, one run each in every round, each round in another order."""
    sessions = {name: session(path) for name, path in paths.items()}
    feeds = {name: feed_of(model) for name, model in sessions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    order = np.random.default_rng(0)
    for turn in range(WARM_UP + rounds):
        for name in order.permutation(list(paths)).tolist():
            begin = time.perf_counter()
            sessions[name].run(None, feeds[name])
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - begin)
    return {name: Timing(*np.percentile(own, [25, 50, 75]).tolist()) for name, own in _in_ms(seconds).items()}


def _in_ms(seconds: dict[str, list[float]]) -> dict[str, np.ndarray]:
    return {name: 1e3 * np.array(own) for name, own in seconds.items()}


def benchmark(name: str, source: Path, arguments: argparse.Namespace) -> list[str]:
    """The row of one network."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {
            "source": source,
            "aligned": Path(folder) / "aligned.onnx",
            "plain": Path(folder) / "plain.onnx",
        }
        ratio = ("--ratio", str(arguments.ratio))
        _, aligned = prune(source, paths["aligned"], *ratio)
        _, plain = prune(source, paths["plain"], *ratio, "--align", "off")
        timings = in_turns(paths, arguments.rounds)
    dense = timings["source"].median
    gigas = [f"{v / 1e9:.2f}" for v in (*plain["totals"]["macs"], aligned["totals"]["macs"][1])]
    row = [name, gigas[0], str(timings["source"])]
    for kind, macs in (("aligned", gigas[2]), ("plain", gigas[1])):
        row += [macs, str(timings[kind]), f"**{dense / timings[kind].median:.2f}x**"]
    print(" | ".join(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=MODELS.replace(" ", ","))
    parser.add_argument("--ratio", type=float, default=0.4)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    found = exports(arguments.folder, arguments.models.split(","), VARIANTS)
    found |= {path.stem: path for path in sorted((ROOT / "fixtures").glob("*.onnx"))}
    rows = [benchmark(name, path, arguments) for name, path in found.items()]
    header = ["network", "GMACs", "source, ms"]
    header += ["GMACs", "aligned, ms", "faster", "GMACs", "`--align off`, ms", "faster"]
    write_page(
        "latency",
        "Latency",
        f"Networks of torchvision and the bundled fixtures at `--ratio {arguments.ratio}`, with channel "
        "counts aligned to what the processor is fast at (the default) and without. ONNX Runtime, one "
        "thread, batch 1; median of "
        f"{arguments.rounds} runs in turns after {WARM_UP} to warm up, quartiles in brackets.",
        table(header, rows),
    )


if __name__ == "__main__":
    main()
