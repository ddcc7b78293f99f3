"""Compares what pruning leaves of one network that came through different exporters.

    python benchmarks/exporters.py [--zoo FOLDER] [--networks vgg,vit] [--exporters keras,tflite]

Writes docs/benchmarks/exporters.md, unless the run is restricted to some networks or exporters; then it only
prints. Three parts: small networks through every exporter, the networks of ``keras.applications`` against
what torch exports (made by benchmarks/zoo.py into FOLDER), and the published counts of pruned DCASE networks.
Needs torch, TensorFlow and tf2onnx; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "frontends"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dcase import PUBLISHED, Count, cut  # noqa: E402
from matrix import IMPOSSIBLE, RATIO, Cell, examine  # noqa: E402
from networks import NETWORKS  # noqa: E402
from routes import EXPORTERS  # noqa: E402

from onnxprune import prune  # noqa: E402
from onnxprune.frontends import convert  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks" / "exporters.md"

APPLICATIONS = {
    "ResNet50": "resnet50",
    "MobileNetV2": "mobilenet_v2",
    "EfficientNetB0": "efficientnet_b0",
    "DenseNet121": "densenet121",
}
"""Networks of ``keras.applications`` and what torchvision calls them."""

MOST = 1.03
"""Parameters left of the Keras network against those of the torch network, at most."""


@dataclass(frozen=True)
class Pair:
    """One architecture from Keras and from torch: parameters and MACs, before and after."""

    keras: tuple[int, int]
    torch: tuple[int, int]
    macs: tuple[int, int]
    seconds: float


def cells(networks: Sequence[str], exporters: Sequence[str]) -> Iterator[tuple[str, str, Cell | str]]:
    """Every cell of the matrix, or why there is none."""
    for network in networks:
        for exporter in exporters:
            start = time.perf_counter()
            found = _cell(exporter, network)
            told = found if isinstance(found, str) else f"{found.kernels[1]:,} of {found.kernels[0]:,}"
            print(f"{network} {exporter}: {told} ({time.perf_counter() - start:.1f} s)", flush=True)
            yield network, exporter, found


def _cell(exporter: str, network: str) -> Cell | str:
    if (exporter, network) in IMPOSSIBLE:
        return IMPOSSIBLE[exporter, network]
    with TemporaryDirectory() as folder:
        return examine(exporter, network, Path(folder))


def pair(keras_name: str, torch_name: str, zoo: Path) -> Pair:
    """Prune one architecture from both frameworks."""
    import keras

    start = time.perf_counter()
    source = convert(getattr(keras.applications, keras_name)(weights=None))
    seconds = time.perf_counter() - start
    own = _totals(source)
    other = _totals(zoo / f"{torch_name}_dynamo_dyn.onnx")
    return Pair(own["params"], other["params"], own["macs"], seconds)


def _totals(source: Any) -> Any:
    return prune(source, ratio=RATIO, align="off", threads=1, verify=False).report.totals


def matrix_section(found: Sequence[tuple[str, str, Cell | str]]) -> Iterator[str]:
    """The tables of the matrix."""
    names = list(dict.fromkeys(network for network, _, _ in found))
    routes = list(dict.fromkeys(exporter for _, exporter, _ in found))
    by_place = {(network, exporter): cell for network, exporter, cell in found}
    done = {place: cell for place, cell in by_place.items() if isinstance(cell, Cell)}
    yield "## Small networks through every exporter"
    yield ""
    yield _PREAMBLE.format(
        error=f"{max(cell.error for cell in done.values()):.0e}",
        equivalence=f"{max(cell.equivalence for cell in done.values()):.0e}",
        spread=f"{max(_spreads(done, names)):.2%}",
        ratio=f"{RATIO:.0%}",
    )
    yield ""
    yield "Elements left of weights that are more than a vector, and (in brackets) of all parameters:"
    yield ""
    yield from _table(
        ["network", "before", *(EXPORTERS[route].title for route in routes)],
        [_row(name, routes, by_place, done) for name in names],
    )
    yield ""
    yield "MACs left, of one sample:"
    yield ""
    yield from _table(
        ["network", *(EXPORTERS[route].title for route in routes)],
        [[name, *(_macs(by_place[name, route]) for route in routes)] for name in names],
    )
    yield ""
    yield from (
        f"- {EXPORTERS[exporter].title}, {network}: {cell}."
        for (network, exporter), cell in by_place.items()
        if isinstance(cell, str)
    )
    yield "- Layers that stayed whole: " + "; ".join(_reasons(done.values())) + "."
    yield ""


def _row(name: str, routes: Sequence[str], by_place: Any, done: Any) -> list[str]:
    before = next(done[name, route].kernels[0] for route in routes if (name, route) in done)
    return [name, f"{before:,}", *(_left(by_place[name, route]) for route in routes)]


def _left(cell: Cell | str) -> str:
    return "-" if isinstance(cell, str) else f"{cell.kernels[1]:,} ({cell.parameters[1]:,})"


def _macs(cell: Cell | str) -> str:
    return "-" if isinstance(cell, str) else f"{cell.macs[1]:,}"


def _spreads(done: Any, names: Iterable[str]) -> Iterator[float]:
    for name in names:
        left = [cell.kernels[1] for (network, _), cell in done.items() if network == name]
        yield max(left) / min(left) - 1


def _reasons(found: Iterable[Cell]) -> list[str]:
    reasons = [reason.partition(" '")[0] for cell in found for _, reason in cell.whole]
    return [f"{reasons.count(reason)} because {reason}" for reason in dict.fromkeys(reasons)]


def applications_section(found: dict[str, Pair]) -> Iterator[str]:
    """The table of full-size networks."""
    yield "## keras.applications against torchvision"
    yield ""
    yield (
        f"`weights=None`, `--ratio {RATIO} --align off`, tf2onnx at opset 18 against torch's dynamo export; "
        f"at most {MOST} is allowed."
    )
    yield ""
    rows = [
        [
            f"{name} ({APPLICATIONS[name]})",
            f"{p.keras[0]:,}",
            f"{p.keras[1]:,}",
            f"{p.torch[0]:,}",
            f"{p.torch[1]:,}",
            f"{p.keras[1] / p.torch[1]:.3f}",
            f"{p.seconds:.0f} s",
        ]
        for name, p in found.items()
    ]
    heads = ["network", "Keras before", "left", "torch before", "left", "Keras / torch", "conversion"]
    yield from _table(heads, rows)
    yield ""


def dcase_section(found: dict[tuple[str, ...], Count]) -> Iterator[str]:
    """The table of published counts."""
    yield "## Published counts of pruned DCASE 2021 networks"
    yield ""
    yield _DCASE
    yield ""
    rows = [
        [
            " + ".join(layers),
            f"{PUBLISHED[layers]:,}",
            f"{count.keras:,}",
            f"{count.onnx:,}",
            str(count.normalised),
            f"{count.deviation:.0e}",
        ]
        for layers, count in found.items()
    ]
    heads = ["cut", "published", "as Keras counts", "in the ONNX file", "channels", "outputs differ by"]
    yield from _table(heads, rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join(['---', *['--:'] * (len(heads) - 1)])}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


_PREAMBLE = """Each network is written once (`tests/frontends/networks.py`) and built by torch and by Keras. \
Every cell was converted, compared in ONNX Runtime with the source framework (largest relative difference \
{error}, 1e-4 allowed), pruned with `--ratio 0.4 --align off` and compared with the masked source (largest \
relative difference {equivalence}). Between exporters of one network the weights left differ by at most \
{spread}.

All parameters differ somewhat more, already before pruning, because exporters spell batch normalisation in \
other ways: torch folds it into a convolution in front of it (one number a channel stays) and keeps it where \
there is none (four); TensorFlow leaves a factor and a summand (two); Keras on torch leaves four."""

_DCASE = """arXiv 2203.15751 cuts the baseline of task 1a (46,246 parameters) to 11 of 16, 11 of 16 and 22 \
of 32 filters in C1, C2 and C3. It counts as Keras does: kernels, biases, and four numbers a channel for \
batch normalisation. tf2onnx folds those four into a factor and a summand, so the pruned ONNX file has two \
numbers a kept channel less. The Keras count is that of a Keras model rebuilt with the filters that the \
report says were kept, and with their weights; the last column is the largest difference between its outputs \
and those of the pruned file."""


def page(sections: Iterable[str], command: str) -> str:
    """The page as text."""
    import keras
    import tensorflow as tf
    import tf2onnx
    import torch

    versions = f"torch {torch.__version__}, TensorFlow {tf.__version__}, Keras {keras.__version__}"
    head = [
        "# Exporters",
        "",
        f"Written by `{command}` ({versions}, tf2onnx {tf2onnx.__version__}).",
        "",
    ]
    return "\n".join([*head, *sections]).rstrip() + "\n"


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
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--zoo", type=Path, help="folder that benchmarks/zoo.py has filled")
    parser.add_argument("--networks", type=_names(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--exporters", type=_names(EXPORTERS), default=list(EXPORTERS))
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    found = list(cells(arguments.networks, arguments.exporters))
    sections = list(matrix_section(found))
    if (arguments.networks, arguments.exporters) != (list(NETWORKS), list(EXPORTERS)):
        print("\n".join(sections))
        return 0
    pairs = {}
    if arguments.zoo:
        pairs = {name: pair(name, other, arguments.zoo) for name, other in APPLICATIONS.items()}
        sections += applications_section(pairs)
    counts = {layers: cut(layers) for layers in PUBLISHED if layers}
    sections += dcase_section(counts)
    command = "python benchmarks/exporters.py" + (" --zoo FOLDER" if arguments.zoo else "")
    arguments.output.write_text(page(sections, command), encoding="utf-8")
    print(f"{arguments.output} written")
    wrong = [name for name, p in pairs.items() if p.keras[1] > MOST * p.torch[1]]
    wrong += [str(layers) for layers, count in counts.items() if count.keras != PUBLISHED[layers]]
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
