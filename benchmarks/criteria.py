"""Every criterion at equal multiply-accumulates, before any repair or training.

    python benchmarks/criteria.py [--shared FOLDER] [--cache FOLDER] [--minutes M] [--part I/N] [--quick]

The shared folder holds ``data/`` and ``models/``. Networks, cuts and seeds are in ``CASES``. What was
measured is kept in the cache, a file each, so that a run that was interrupted goes on where it ended. For
processes that share the work ``--part 2/4`` measures the second quarter, and ``--network`` one network; they
write no page; ``--as-is`` writes it with what is there. An accuracy is measured once for each set of
channels: criteria that agree share the work. The cache is kept by the version of the package; remove it
after a change of a criterion. Writes ``docs/benchmarks/criteria.md``; with ``--quick`` a few images of the
small networks are measured, and nothing is written.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import datasets
import numpy as np
from harness import ROOT, table, write_page
from kept import Kept

from onnxprune import OnnxPruneError, couple, criterion, load_model
from onnxprune.api.job import open_job
from onnxprune.api.planning import plan_model
from onnxprune.api.settings import Settings
from onnxprune.calibration import ArraySamples, Evidence
from onnxprune.coupling import Coupling, Structure
from onnxprune.coupling.groups import Role
from onnxprune.criteria import known
from onnxprune.evaluation import evaluate
from onnxprune.model import Model
from onnxprune.reconstruction.evidence import gather
from onnxprune.surgery import apply

CALIBRATION = 512
"""Training images that a criterion may look at; a seed chooses them."""
SEEDS = 3
OPEN = "not measured yet"
ALL = 10_000
SOME = 2_500


@dataclass(frozen=True)
class Network:
    """A network and what it was trained on.

    Attributes:
        path: below the repository if it begins with ``fixtures``, else below the shared folder.
        images: of the test set that it is measured on, drawn once; fewer where all would take too long.
    """

    name: str
    path: str
    data: str
    images: int = ALL


MLP = Network("MLP", "fixtures/mlp_fashion.onnx", "fashion")
VGG = Network("VGG", "fixtures/vgg_fashion.onnx", "fashion", images=SOME)
RESNET20 = Network("ResNet-20", "models/resnet20_cifar10.onnx", "cifar10", images=SOME)
RESNET56 = Network("ResNet-56", "models/resnet56_cifar10.onnx", "cifar10", images=SOME)


@dataclass(frozen=True)
class Case:
    """A column of the table.

    Attributes:
        macs: share of the multiply-accumulates that stays at most.
    """

    network: Network
    macs: float

    @property
    def title(self) -> str:
        """The head of the column."""
        return f"{self.network.name} −{1 - self.macs:.0%}"


CASES = tuple(Case(network, macs) for network in (MLP, VGG, RESNET20, RESNET56) for macs in (0.75, 0.5))
QUICK = (Case(MLP, 0.5), Case(VGG, 0.75))


@dataclass(frozen=True)
class Cell:
    """What a criterion came to in a case: an accuracy in percent for every seed, or why there is none."""

    accuracies: tuple[float, ...] = ()
    refusal: str = ""

    def __str__(self) -> str:
        if not self.accuracies:
            return "…" if self.refusal == OPEN else "–"
        middle = f"{median(self.accuracies):.1f}"
        low, high = min(self.accuracies), max(self.accuracies)
        return middle if low == high else f"{middle} ({low:.1f}–{high:.1f})"


class Bench:
    """The networks with their samples, and how much of it all is used."""

    def __init__(self, shared: Path, kept: Path, *, quick: bool = False) -> None:
        self.shared = shared
        self.kept = kept
        self.most = 500 if quick else ALL
        self.looked_at = 64 if quick else CALIBRATION
        self.seeds = 1 if quick else SEEDS
        self.found = Kept(kept / "criteria")

    @cache  # noqa: B019  there is one bench, which lives as long as the process
    def model(self, network: Network) -> Model:
        """The network, loaded once."""
        return load_model((ROOT if network.path.startswith("fixtures") else self.shared) / network.path)

    @cache  # noqa: B019
    def coupling(self, network: Network) -> Coupling:
        """Which channels of it belong together."""
        return couple(self.model(network))

    @cache  # noqa: B019
    def streams(self, network: Network) -> tuple[str, ...]:
        """Groups that the filters of several layers belong to."""
        return tuple(shared_groups(self.coupling(network).structure))

    @cache  # noqa: B019
    def evidence(self, network: Network, seed: int) -> Evidence:
        """What all criteria want to know of the calibration images, measured in one go."""
        wanted = frozenset().union(*(criterion(name).needs for name in known()))
        return gather(self.coupling(network), self.calibration(network, seed), wanted, threads=1, seed=seed)

    @cache  # noqa: B019
    def calibration(self, network: Network, seed: int) -> ArraySamples:
        """Training images with labels, chosen by the seed."""
        pixels, classes = datasets.load(network.data, "train", shared=self.shared, kept=self.kept)
        chosen = np.random.default_rng(seed).permutation(len(pixels))[: self.looked_at]
        return self._samples(network, pixels[chosen], classes[chosen], f"train, seed {seed}")

    @cache  # noqa: B019
    def test(self, network: Network) -> ArraySamples:
        """Test images with labels."""
        pixels, classes = datasets.load(network.data, "test", shared=self.shared, kept=self.kept)
        number = min(self.most, network.images, len(pixels))
        chosen = np.random.default_rng(0).permutation(len(pixels))[:number]
        return self._samples(network, pixels[chosen], classes[chosen], "test")

    def seeds_of(self, name: str) -> range:
        """One seed is enough for a criterion that neither draws nor looks at data."""
        return range(self.seeds if name == "random" or criterion(name).needs else 1)

    def _samples(
        self, network: Network, pixels: datasets.Pixels, classes: datasets.Classes, which: str
    ) -> ArraySamples:
        (name,) = (entry.name for entry in self.model(network).proto.graph.input)
        images = datasets.prepare(network.data, pixels)
        return ArraySamples({name: images}, classes, description=f"{network.data} {which}, {len(images)}")


def shared_groups(structure: Structure) -> Iterator[str]:
    """Names of the groups that several layers write to: residual streams."""
    for group in structure.groups:
        if len({part.layer for part in group.slices if part.role is Role.FILTER}) > 1:
            yield group.name


def measure(bench: Bench, case: Case, name: str, *, kept_only: bool = False) -> Cell:
    """Prune with every seed, and measure what is left; or say that it was not, where nothing new shall be."""
    used = [bench.looked_at, min(bench.most, case.network.images)]
    own = [bench.model(case.network).sha256, case.title, case.macs, name, *used]
    seeds = bench.seeds_of(name)
    if kept_only and not all(bench.found.holds([*own, seed]) for seed in seeds):
        return Cell(refusal=OPEN)
    found = [
        bench.found.get([*own, seed], lambda seed=seed: pruned(bench, case, name, seed)) for seed in seeds
    ]
    refusals = [what for what in found if isinstance(what, str)]
    return Cell(refusal=refusals[0]) if refusals else Cell(tuple(found))


def pruned(bench: Bench, case: Case, name: str, seed: int) -> float | str:
    """Accuracy in percent after pruning, or why the criterion refuses."""
    network = case.network
    coupling = bench.coupling(network)
    own = Settings(
        macs=f"{case.macs}x",
        criterion=name,
        scope="local",
        align="off",
        exclude=bench.streams(network),
        seed=seed,
    )
    evidence = bench.evidence(network, seed) if criterion(name).needs else Evidence()
    try:
        plan = plan_model(coupling, open_job(own), lambda step: None, evidence=evidence).plan
    except OnnxPruneError as error:
        return error.message
    kept = {group: units.tolist() for group, units in plan.kept.items()}
    return accuracy(bench, network, apply(coupling, plan.kept).model, kept)


def accuracy(bench: Bench, network: Network, model: Model, kept: dict[str, list[int]]) -> float:
    """Accuracy in percent of a network of which these units are left."""
    test = bench.test(network)
    what = [bench.model(network).sha256, kept, test.description]
    return float(bench.found.get(what, lambda: 100 * evaluate(model, test, ["accuracy"])["accuracy"]))


def whole(bench: Bench, case: Case) -> str:
    """Accuracy of the network as it is."""
    return f"{accuracy(bench, case.network, bench.model(case.network), {}):.1f}"


def work(bench: Bench, cases: Sequence[Case], *, minutes: float, part: tuple[int, int]) -> bool:
    """Measure what is not kept yet; says whether all of it was done in the time."""
    end = time.monotonic() + 60 * minutes
    first, step = part
    for case, name in [(case, name) for case in cases for name in known()][first - 1 :: step]:
        if time.monotonic() > end:
            return False
        print(f"{case.title}: {name} {measure(bench, case, name)}", file=sys.stderr, flush=True)
    return True


def tables(bench: Bench, cases: Sequence[Case], *, kept_only: bool = False) -> Iterator[str]:
    """A table for each data set, then what was refused."""
    names = sorted(known(), key=lambda name: (name == "random", name))
    refused: dict[str, list[str]] = {}
    for data in dict.fromkeys(case.network.data for case in cases):
        own = [case for case in cases if case.network.data == data]
        rows = [["(not pruned)", *(whole(bench, case) for case in own)]]
        for name in names:
            cells = [measure(bench, case, name, kept_only=kept_only) for case in own]
            for case, cell in zip(own, cells, strict=True):
                if cell.refusal not in ("", OPEN):
                    refused.setdefault(f"`{name}`: {cell.refusal}", []).append(case.title)
            rows.append([f"`{name}`", *map(str, cells)])
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
        yield f"{datasets.TITLES[data]}:"
        yield table(["criterion", *(case.title for case in own)], rows)
    if refused:
        yield "\n".join(f"- {why} ({'; '.join(titles)})" for why, titles in refused.items())


def account(bench: Bench, cases: Sequence[Case], *, kept_only: bool) -> list[str]:
    """The page: what was done, and the tables."""
    tested = {case.network.images: "" for case in cases}
    for number in tested:
        names = dict.fromkeys(case.network.name for case in cases if case.network.images == number)
        tested[number] = f"{'all' if number == ALL else 'the same'} {number:,} of {', '.join(names)}"
    return [
        f"Accuracy in percent on test images ({'; '.join(tested.values())}) after pruning with `--align off` "
        "and `--repair none`, and nothing else: no training, no correction of what is left. Every column "
        "removes the same share of the multiply-accumulates, the same ratio in every layer. It shows how "
        "well a criterion tells what can be spared, not what pruning costs in the end.",
        f"Criteria that look at data are given {CALIBRATION} training images. For them and for `random` the "
        f"figure is the median of {bench.seeds} seeds, which choose the images, with the lowest and the "
        "highest in brackets. The others have one answer. Channels of residual streams, which all blocks of "
        f"a stage share, stay. On {SOME:,} images differences of a point are within noise."
        + (" `…` was not measured." if kept_only else ""),
        *tables(bench, cases, kept_only=kept_only),
    ]


def _part(text: str) -> tuple[int, int]:
    first, _, parts = text.partition("/")
    return int(first), int(parts)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    datasets.add_arguments(parser)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after these; run again to go on")
    parser.add_argument("--part", type=_part, default=(1, 1), metavar="I/N", help="measure a part, no page")
    parser.add_argument("--network", default="", metavar="NAME", help="measure one network, no page")
    parser.add_argument("--as-is", action="store_true", help="write the page with what is measured so far")
    parser.add_argument("--quick", action="store_true", help="a few images of the small networks, no page")
    arguments = parser.parse_args()
    bench = Bench(arguments.shared, arguments.cache, quick=arguments.quick)
    if arguments.quick:
        print("\n\n".join(tables(bench, QUICK)))
        return
    if arguments.as_is:
        write_page("criteria", "Criteria side by side", *account(bench, CASES, kept_only=True))
        return
    cases = [case for case in CASES if arguments.network in ("", case.network.name)]
    if not work(bench, cases, minutes=arguments.minutes, part=arguments.part):
        raise SystemExit("not all is measured yet: run again to go on")
    if arguments.part != (1, 1) or arguments.network:
        return
    write_page("criteria", "Criteria side by side", *account(bench, CASES, kept_only=False))


if __name__ == "__main__":
    main()
