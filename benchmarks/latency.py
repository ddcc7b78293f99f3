"""Latency of pruned networks in ONNX Runtime, one thread, against their sources.

    python benchmarks/latency.py FOLDER [--models resnet18,mobilenet_v2] [--seconds 10]

FOLDER holds the exports that ``benchmarks/zoo.py`` makes. Each network is pruned twice by the command line,
aligned (the default) and with ``--align off``, and all three run in turns in one process, so that a change in
the machine's pace meets all of them. Writes ``docs/benchmarks/latency.md``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness import ROOT, exports, prune, table, write_page

import onnxprune
from onnxprune.runtime.results import Row

MODELS = (
    "resnet18 resnet50 mobilenet_v2 mobilenet_v3_large efficientnet_b0 densenet121 vgg16_bn "
    "squeezenet1_1 googlenet inception_v3 regnet_y_400mf resnext50_32x4d shufflenet_v2_x1_0 convnext_tiny "
    "vit_b_16 swin_t"
)
VARIANTS = ("dynamo_static", "ts_static", "ts_dyn")


def spelled(row: Row) -> str:
    """Median in milliseconds and its interval."""
    low, high = row.timing.intervals[50]
    return f"{1e3 * row.timing.median:.2f} ({1e3 * low:.2f} to {1e3 * high:.2f})"


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
        measured = onnxprune.benchmark(list(paths.values()), seconds=arguments.seconds)
    rows = dict(zip(paths, measured.results[0].rows, strict=True))
    gigas = [f"{v / 1e9:.2f}" for v in (*plain["totals"]["macs"], aligned["totals"]["macs"][1])]
    row = [name, gigas[0], spelled(rows["source"])]
    for kind, macs in (("aligned", gigas[2]), ("plain", gigas[1])):
        ratio = rows[kind].ratio
        assert ratio is not None
        row += [macs, spelled(rows[kind]), f"**{1 / ratio.value:.2f}x**"]
    print(" | ".join(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=MODELS.replace(" ", ","))
    parser.add_argument("--ratio", type=float, default=0.4)
    parser.add_argument("--seconds", type=float, default=10.0)
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
        f"thread, batch 1; median of the runs in {arguments.seconds:g} s, in turns, with its 95 % interval "
        "in brackets.",
        table(header, rows),
    )


if __name__ == "__main__":
    main()
