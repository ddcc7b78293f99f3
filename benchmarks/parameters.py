"""Parameters that are left at ratio 0.4, beside what Torch-Pruning leaves of the same networks.

    python benchmarks/parameters.py FOLDER [--models resnet18,swin_t] [--variants dynamo_static,ts_dyn]

FOLDER holds the exports that ``benchmarks/zoo.py`` makes; every export that is there gets a row. Writes
``docs/benchmarks/parameters.md``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness import prune, table, write_page

RATIO = 0.4
VARIANTS = ("dynamo_static", "dynamo_dyn", "ts_static", "ts_dyn", "opset23", "tsbn")
TORCH_PRUNING: dict[str, tuple[float, float] | str] = {
    "resnet18": (11.69, 4.32),
    "resnet50": (25.56, 9.68),
    "vgg16_bn": (138.4, 50.8),
    "mobilenet_v2": (3.51, 1.59),
    "mobilenet_v3_large": (5.48, 2.31),
    "densenet121": (7.98, 3.09),
    "efficientnet_b0": (5.29, 2.26),
    "convnext_tiny": (28.6, 10.5),
    "squeezenet1_1": (1.24, 0.44),
    "googlenet": (6.63, 2.62),
    "inception_v3": (27.2, 12.4),
    "regnet_y_400mf": (4.34, 1.43),
    "resnext50_32x4d": (25.0, 9.23),
    "shufflenet_v2_x1_0": "fails",
    "swin_t": "fails",
    "vit_b_16": "not run",
}
"""Millions of parameters before and after pruning by Torch-Pruning 1.6.1: ratio 0.4, L1 norm, on the PyTorch
network. It counts the parameters of batch normalisation, which exporters fold away."""


def benchmark(name: str, variant: str, source: Path) -> list[str]:
    """The row of one export."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pruned.onnx"
        measured, report = prune(source, output, "--ratio", str(RATIO), "--align", "off")
    totals, check = report["totals"], report["verification"]["masked_equivalence"]
    before, after = (value / 1e6 for value in totals["params"])
    macs = totals["macs"][1] / totals["macs"][0]
    peer = TORCH_PRUNING[name]
    theirs = f"{peer[0]} to {peer[1]} ({peer[1] / peer[0]:.3f})" if isinstance(peer, tuple) else peer
    error = f"{check['max_relative_error']:.1e}"
    passed = error if check["passed"] else f"**failed** ({error})"
    row = [name, variant, f"{before:.2f}", f"{after:.2f}", f"{after / before:.3f}", theirs]
    row += [f"{macs:.3f}", passed, f"{measured.seconds:.1f}"]
    print(" | ".join(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(TORCH_PRUNING))
    parser.add_argument("--variants", default=",".join(VARIANTS))
    arguments = parser.parse_args()
    paths = {
        (name, variant): arguments.folder / f"{name}_{variant}.onnx"
        for name in arguments.models.split(",")
        for variant in arguments.variants.split(",")
    }
    rows = [benchmark(*key, path) for key, path in paths.items() if path.is_file()]
    header = ["network", "export", "before, M", "after, M", "left", "Torch-Pruning, M", "MACs left"]
    write_page(
        "parameters",
        "Parameters left",
        f"Networks of torchvision at `--ratio {RATIO} --align off`, L1 norm. Torch-Pruning 1.6.1 prunes the "
        "PyTorch network at the same ratio and norm; exporters fold batch normalisation away, so its counts "
        "start a little higher. Its inception_v3 has the auxiliary classifier, which exports lack; it cuts "
        "the classes of squeezenet1_1, whose classifier is a convolution. Error: largest difference from the "
        "masked source on random inputs, relative to the largest output. Seconds: the whole command, "
        "verification included.",
        table([*header, "error", "seconds"], rows),
    )


if __name__ == "__main__":
    main()
