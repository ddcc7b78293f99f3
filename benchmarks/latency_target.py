"""Whether latencies that are asked for are met, and with how much importance, against uniform pruning.

    python benchmarks/latency_target.py FOLDER [--targets 0.75,0.5,0.35] [--seconds 10] [--cache FOLDER]

FOLDER holds the exports that ``benchmarks/zoo.py`` makes. For each network and target the command line
prunes with ``--latency``, on one thread; the file is then measured again beside its source. Beside it stands
the smallest uniform ratio (``--ratio``, the same share of every group) whose file is at least as fast, found
by bisection on measurements. Importance is the sum of the L1 norms that are kept, each group scaled to a mean
of 1 as in the scope global. What was measured is kept in the cache, so that a run that was interrupted goes
on with the next network or target. Writes ``docs/benchmarks/latency_target.md``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial, reduce
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from datasets import CACHE
from harness import environment, exports, prune, table, write_page
from kept import Kept

import onnxprune
from onnxprune.coupling.groups import Floats
from onnxprune.runtime.feeds import Feed, inputs_for, working_feed
from onnxprune.runtime.sessions import Session
from onnxprune.runtime.spread import Ratio, ratio
from onnxprune.runtime.turns import Timetable, in_turns, joined, steady_clock

MODELS = "mobilenet_v2 resnet18 resnet50 efficientnet_b0"
VARIANTS = ("dynamo_static", "ts_static", "ts_dyn")
STEPS = 7
"""Halvings of the uniform ratio: to less than a hundredth."""

SITTINGS = 3
"""Of a measurement that counts. Where a session's memory lies moves its pace by some percent."""

ALLOWED = 0.05


class Importance:
    """What share of a network's importance a pruned file keeps."""

    def __init__(self, source: Path) -> None:
        model = onnxprune.load_model(source)
        self._structure = onnxprune.couple(model).structure
        self._scores = onnxprune.score_groups(
            self._structure, model.constants, onnxprune.criterion("l1"), across_groups=True
        )

    def kept(self, report: Mapping[str, Any]) -> float:
        """Share of the prunable groups' importance that is left, 0 to 1."""
        left = total = 0.0
        for group in self._structure.groups:
            if group.held:
                continue
            own = np.sort(self._scores[group.name])[::-1]
            count = next(row["channels"][1] for row in report["groups"] if row["name"] == group.name)
            left += float(own[:count].sum())
            total += float(own.sum())
        return left / total


def measured(source: Path, pruned: Path, seconds: float, *, sittings: int = SITTINGS) -> Ratio:
    """The time of a pruned file as a share of its source's, over sittings with new sessions each."""
    feed: Feed | None = None
    rounds: list[Sequence[Floats]] = []
    for sitting in range(sittings):
        sessions = [Session(path.read_bytes(), threads=1) for path in (source, pruned)]
        feed = feed or random_feed(source)
        runs = [partial(session.run, feed) for session in sessions]
        rounds.append(in_turns(runs, Timetable(seconds / sittings, sitting, steady_clock(1))))
    before, after = (list(own) for own in zip(*rounds, strict=True))
    return ratio(reduce(joined, after), reduce(joined, before))


def random_feed(path: Path) -> Feed:
    """One image for each input of a network."""
    coupling = onnxprune.couple(onnxprune.load_model(path))
    inputs = inputs_for(coupling, path.name, {})
    return working_feed(Session(path.read_bytes(), threads=1), inputs, 1, seed=0, name=path.name)


def uniform(source: Path, folder: Path, share: float, seconds: float) -> tuple[Ratio, Mapping[str, Any]]:
    """The mildest uniform pruning that takes at most a share of the source's time, and its report."""
    low, high, best = 0.0, 0.9, None
    path = folder / "uniform.onnx"
    for _ in range(STEPS):
        share_cut = (low + high) / 2
        _, report = prune(source, path, "--ratio", f"{share_cut:.4f}", "--no-verify")
        found = measured(source, path, seconds, sittings=1)
        if found.value <= share:
            high, best = share_cut, (found, report)
        else:
            low = share_cut
    if best is None:
        raise RuntimeError(f"{source.name}: no uniform ratio reaches {share}")
    return best


def row(name: str, source: Path, target: float, arguments: argparse.Namespace) -> list[str]:
    """One network at one target."""
    importance = Importance(source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fast.onnx"
        run, report = prune(source, path, "--latency", f"{target:g}x", "--threads", "1")
        own = measured(source, path, arguments.seconds)
        plain, plain_report = uniform(source, Path(folder), own.value, arguments.seconds / 4)
    low, high = own.interval
    met = "yes" if abs(own.value / target - 1) <= ALLOWED else "**no**"
    kept, plain_kept = importance.kept(report), importance.kept(plain_report)
    cells = [name, f"{target:g}x", f"{own.value:.3f}x ({low:.3f} to {high:.3f})", met, f"{run.seconds:.0f}"]
    cells += [f"{100 * report['latency']['table']['fit_error']:.1f} %", str(report["latency"]["trials"])]
    cells += [f"{plain.value:.3f}x", f"{100 * kept:.1f} %", f"{100 * plain_kept:.1f} %"]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=MODELS.replace(" ", ","))
    parser.add_argument("--targets", default="0.75,0.5,0.35")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--cache", type=Path, default=CACHE / "latency_target", help="of what is measured")
    arguments = parser.parse_args()
    found = exports(arguments.folder, arguments.models.split(","), VARIANTS)
    targets = [float(text) for text in arguments.targets.split(",")]
    rows = []
    for (name, path), target in product(found.items(), targets):
        what = [path.name, path.stat().st_size, target, arguments.seconds, environment()]
        own = partial(row, name, path, target, arguments)
        rows.append(Kept(arguments.cache).get(what, own))
        print(" | ".join(rows[-1]), flush=True)
    header = ["network", "target", "measured", "within 5 %", "seconds", "fit error", "trials"]
    header += ["uniform, measured", "importance kept", "by uniform pruning"]
    write_page(
        "latency_target",
        "Latency as a target",
        "Untrained networks of torchvision, pruned to a share of their own latency: ONNX Runtime, one "
        f"thread, batch 1, measured again after the run beside the source, in turns, {SITTINGS} sittings "
        "with new sessions each, with 95 % intervals. Runs are timed by the time of their thread on the "
        "processor, so that waits which other programs cause do not count. "
        "`seconds` is the whole command; layer times are measured in the first run on a network and then "
        "come from the cache. Uniform pruning takes the same share of every group, just as much as makes it "
        "at least as fast.",
        table(header, rows),
    )


if __name__ == "__main__":
    main()
