"""Compares what pruning leaves of one network that came through different exporters.

    python benchmarks/exporters.py FOLDER

Writes docs/benchmarks/exporters.md. Three parts: small networks through every exporter, the networks of
``keras.applications`` against torch's exports of the same architectures (which benchmarks/zoo.py has put into
FOLDER), and the published counts of pruned DCASE networks. With --networks or --exporters only those cells of
the first part are run, and nothing is written. Needs torch, TensorFlow and tf2onnx; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness import ROOT, table, write_page

sys.path.insert(0, str(ROOT / "tests" / "frontends"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dcase import PUBLISHED, Count, cut
from matrix import IMPOSSIBLE, RATIO, Cell, examine
from networks import NETWORKS
from routes import EXPORTERS

from onnxprune import convert, prune

Cells = Mapping[tuple[str, str], Cell | str]
"""By network and exporter; a text says why there is no cell."""

APPLICATIONS = {
    "ResNet50": "resnet50",
    "MobileNetV2": "mobilenet_v2",
    "EfficientNetB0": "efficientnet_b0",
    "DenseNet121": "densenet121",
    "MobileNetV3Large": "mobilenet_v3_large",
    "InceptionV3": "inception_v3",
    "ConvNeXtTiny": "convnext_tiny",
}
"""Networks of ``keras.applications`` and what torchvision calls them."""

UNFOLDED = "keras_nchw"
"""The exporter whose files hold batch normalisation apart from the layers."""

MOST = 1.03
"""Parameters left of the Keras network against those of the torch network, at most."""

PACKAGES = ("torch", "tensorflow-cpu", "keras", "tf2onnx")


@dataclass(frozen=True)
class Pair:
    """Parameters before and after of one architecture, from Keras and from torch.

    Attributes:
        keras: of the Keras network.
        torch: of the torch network.
        seconds: that the conversion took.
    """

    keras: tuple[int, int]
    torch: tuple[int, int]
    seconds: float

    @property
    def quotient(self) -> float:
        """What is left of the Keras network for each parameter left of the other."""
        return self.keras[1] / self.torch[1]


def cells(networks: Sequence[str], exporters: Sequence[str]) -> Cells:
    """Every cell of the matrix."""
    found = {}
    for place in [(network, exporter) for network in networks for exporter in exporters]:
        start = time.perf_counter()
        found[place] = _cell(*place)
        told = (
            cell if isinstance(cell := found[place], str) else f"{cell.kernels[1]:,} of {cell.kernels[0]:,}"
        )
        print(f"{' '.join(place)}: {told} ({time.perf_counter() - start:.1f} s)", file=sys.stderr)
    return found


def _cell(network: str, exporter: str) -> Cell | str:
    if (exporter, network) in IMPOSSIBLE:
        return IMPOSSIBLE[exporter, network]
    with TemporaryDirectory() as folder:
        return examine(exporter, network, Path(folder))


def pair(keras_name: str, torch_name: str, zoo: Path) -> Pair:
    """Prune one architecture from both frameworks."""
    import keras

    keras.backend.clear_session()
    start = time.perf_counter()
    source = convert(getattr(keras.applications, keras_name)(weights=None))
    seconds = time.perf_counter() - start
    return Pair(_parameters(source), _parameters(zoo / f"{torch_name}_dynamo_dyn.onnx"), seconds)


def _parameters(source: Any) -> tuple[int, int]:
    report = prune(source, ratio=RATIO, align="off", threads=1, verify=False).report
    return report.totals["params"]


def matrix_part(found: Cells) -> Iterator[str]:
    """The tables of the matrix."""
    names = list(dict.fromkeys(network for network, _ in found))
    routes = list(dict.fromkeys(exporter for _, exporter in found))
    titles = [EXPORTERS[route].title for route in routes]
    folded = {place: cell for place, cell in found.items() if place[1] != UNFOLDED}
    done = [cell for cell in found.values() if isinstance(cell, Cell)]
    yield "## Small networks through every exporter"
    yield _MATRIX.format(
        error=f"{max(cell.error for cell in done):.0e}",
        equivalence=f"{max(cell.equivalence for cell in done):.0e}",
        spread=f"{max(_spreads(found, lambda cell: cell.kernels[1])):.1%}",
        params=f"{max(_spreads(folded, lambda cell: cell.parameters[1])):.1%}",
    )
    yield "Elements left of weights that are more than a vector, and (in brackets) of all parameters:"
    yield table(
        ["network", "before", *titles],
        [[name, _before(found, name), *(_left(found[name, route]) for route in routes)] for name in names],
    )
    yield "MACs left, of one sample:"
    rows = [[name, *(_macs(found[name, route]) for route in routes)] for name in names]
    yield table(["network", *titles], rows)
    gaps = [f"- {EXPORTERS[e].title}, {n}: {why}." for (n, e), why in found.items() if isinstance(why, str)]
    yield "\n".join([*gaps, f"- Layers that stayed whole: {'; '.join(_reasons(done))}."])


def _before(found: Cells, name: str) -> str:
    whole = [
        cell.kernels[0]
        for (network, _), cell in found.items()
        if network == name and not isinstance(cell, str)
    ]
    return f"{min(whole):,}"


def _left(cell: Cell | str) -> str:
    return "-" if isinstance(cell, str) else f"{cell.kernels[1]:,} ({cell.parameters[1]:,})"


def _macs(cell: Cell | str) -> str:
    return "-" if isinstance(cell, str) else f"{cell.macs[1]:,}"


def _spreads(found: Cells, count: Callable[[Cell], int]) -> Iterator[float]:
    """How much exporters of one network differ in a count, as a share."""
    left: dict[str, list[int]] = {}
    for (network, _), cell in found.items():
        if isinstance(cell, Cell):
            left.setdefault(network, []).append(count(cell))
    yield from (max(counts) / min(counts) - 1 for counts in left.values())


def _reasons(done: Iterable[Cell]) -> list[str]:
    reasons = [reason.partition(" '")[0] for cell in done for _, reason in cell.whole]
    return [f"{reasons.count(reason)} because {reason}" for reason in dict.fromkeys(reasons)]


def applications_part(found: Mapping[str, Pair]) -> Iterator[str]:
    """The table of networks of full size."""
    yield "## keras.applications against torchvision"
    yield (
        f"`weights=None`, `--ratio {RATIO} --align off`; Keras through tf2onnx at opset 18, torch by its "
        f"dynamo exporter. The Keras network may keep at most {MOST} times as many parameters."
    )
    rows = [
        [
            f"{name}, {APPLICATIONS[name]}",
            *(f"{count:,}" for count in (*p.keras, *p.torch)),
            f"{p.quotient:.3f}",
            f"{p.seconds:.0f} s",
        ]
        for name, p in found.items()
    ]
    heads = ["network", "Keras", "left", "torch", "left", "Keras / torch", "conversion"]
    yield table(heads, rows)


def dcase_part(found: Mapping[tuple[str, ...], Count]) -> Iterator[str]:
    """The table of published counts."""
    yield "## Published counts of pruned DCASE 2021 networks"
    yield _DCASE
    rows = [
        [
            " + ".join(layers),
            *(f"{count:,}" for count in (PUBLISHED[layers], own.keras, own.onnx)),
            own.normalised,
            f"{own.deviation:.0e}",
        ]
        for layers, own in found.items()
    ]
    heads = ["cut", "published", "as Keras counts", "in the ONNX file", "channels kept", "outputs differ by"]
    yield table(heads, rows)


_MATRIX = """Each network is written once (`tests/frontends/networks.py`) and built by torch and by Keras. \
Every cell was converted, compared in ONNX Runtime with the source framework (largest relative difference \
{error}, 1e-4 allowed), pruned with `--ratio 0.4 --align off` and compared with the masked source (largest \
relative difference {equivalence}). Between exporters of one network the weights left differ by at most \
{spread}.

All parameters differ by at most {params} where batch normalisation stands before a layer (torch \
keeps four numbers a channel, the others two or three); behind a layer it is folded into it, by torch, by \
TFLite and by the conversion from Keras. The file with `inputs_as_nchw` is as tf2onnx writes it."""

_DCASE = """arXiv 2203.15751 cuts the baseline of task 1a (46,246 parameters) to 11 of 16, 11 of 16 and 22 \
of 32 filters in C1, C2 and C3. It counts as Keras does: kernels, biases, and four numbers a channel for \
batch normalisation. The conversion folds those four into the convolution, so the pruned ONNX file has four \
numbers a kept channel less. The Keras count is that of a Keras model rebuilt with the filters that the \
report says were kept, and with their weights; the last column is the largest difference between its outputs \
and those of the pruned file."""


def _names(known: Iterable[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def main() -> int:
    """Run what the command line asks for; return 1 where a figure misses its bound."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=_names(NETWORKS))
    parser.add_argument("--exporters", type=_names(EXPORTERS))
    arguments = parser.parse_args()
    found = cells(arguments.networks or list(NETWORKS), arguments.exporters or list(EXPORTERS))
    parts = list(matrix_part(found))
    if arguments.networks or arguments.exporters:
        print("\n\n".join(parts))
        return 0
    pairs = {name: pair(name, other, arguments.folder) for name, other in APPLICATIONS.items()}
    counts = {layers: cut(layers) for layers in PUBLISHED if layers}
    parts += [*applications_part(pairs), *dcase_part(counts)]
    parts.append("Exporters: " + ", ".join(f"{package} {version(package)}" for package in PACKAGES) + ".")
    write_page("exporters", "Exporters", *parts)
    wrong = [name for name, p in pairs.items() if p.quotient > MOST]
    wrong += [" + ".join(layers) for layers, own in counts.items() if own.keras != PUBLISHED[layers]]
    print(f"missed: {', '.join(wrong) or 'nothing'}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
