"""SCNNB on Fashion-MNIST and CIFAR-10: filters by L1 norm, at once and in steps, independent and greedy.

    python benchmarks/scnnb.py [--shared FOLDER] [--cache FOLDER] [--device cuda] [--part 1/8] [--quick]

Trains the two networks (``fixtures/published.py``) if they are not in the cache. Writes
``docs/benchmarks/scnnb.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness import table
from steps import counts_at, prune_to, widths
from study import BATCHES, SETS, Figures, Study, totals

from onnxprune import load_model
from onnxprune.model import Model

RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
EPOCHS = 1
"""Of fine-tuning, after the one cut or after each of the steps of ten points."""


@dataclass(frozen=True)
class Way:
    """One way to get to all ratios.

    Attributes:
        scoring: whether a layer's filters are ranked without the channels that are gone (``greedy``).
        steps: each ratio starts from the tuned network of the one before, not from the source.
    """

    data: str
    scoring: str
    steps: bool

    @property
    def name(self) -> str:
        """For file names."""
        return f"{self.data}_{self.scoring}_{'steps' if self.steps else 'at_once'}"


DATA = ("fashion", "cifar10")
TITLES = {"fashion": "Fashion-MNIST", "cifar10": "CIFAR-10"}
WAYS = tuple(
    Way(data, scoring, steps)
    for data in DATA
    for scoring in ("independent", "greedy")
    for steps in (True, False)
)


def ratios(study: Study) -> Sequence[float]:
    """All, or two for a quick run."""
    return (0.3, 0.6) if study.quick else RATIOS


def walk(study: Study, way: Way) -> list[Figures]:
    """Figures at every ratio."""
    found: list[Figures] = []
    previous = None
    for ratio in ratios(study):
        name = f"{way.name}_{ratio}"
        settings = {"epochs": EPOCHS, "quick": study.quick}
        start = previous if way.steps else None
        found.append(study.case(name, settings, partial(cut, study, way, ratio, start, name)))
        previous = name
    return found


def cut(study: Study, way: Way, ratio: float, start: str | None, name: str) -> Figures:
    """Prune, measure, fine-tune, measure."""
    source = load_model(study.source(f"scnnb_{way.data}"))
    model = source if start is None else load_model(study.folder / f"{start}.onnx")
    data = SETS[way.data]
    pruned = prune_to(model, counts_at(widths(source), ratio), criterion="l1", scoring=way.scoring)
    parameters, macs = totals(pruned)
    before = study.measure(pruned, data)
    augment = "cifar" if way.data == "cifar10" else "flip"
    tuned: Model = study.tune(pruned, data, EPOCHS, augment=augment, **BATCHES)
    after = study.measure(tuned, data)
    if way.steps:
        study.keep(name, tuned)
        if start is not None:
            (study.folder / f"{start}.onnx").unlink()  # five megabytes each, and only the last one is needed
    return {
        "parameters": parameters,
        "macs": macs,
        "pruned": before["accuracy"],
        "accuracy": after["accuracy"],
        "log_loss": after["log_loss"],
    }


def source_of(study: Study, data: str) -> Figures:
    """The network as it is."""

    def make() -> Figures:
        model = load_model(study.source(f"scnnb_{data}"))
        parameters, macs = totals(model)
        return {"parameters": parameters, "macs": macs, **study.measure(model, SETS[data])}

    return study.case(f"{data}_source", {"quick": study.quick}, make)


def page(study: Study) -> None:
    """A table a data set, and the plot."""
    parts = [_ABOUT.format(epochs=EPOCHS)]
    for data in DATA:
        ways = [way for way in WAYS if way.data == data]
        found = [walk(study, way) for way in ways]
        source = source_of(study, data)
        rows = [
            ["0", f"{source['parameters']:,}", "100 %", *[f"{source['accuracy']:.2f}"] * len(ways), "", ""]
        ]
        for place, ratio in enumerate(ratios(study)):
            cells = [own[place] for own in found]
            left = cells[0]["parameters"]
            plain = [f"{cell['pruned']:.2f}" for way, cell in zip(ways, cells, strict=True) if not way.steps]
            tuned = [f"{cell['accuracy']:.2f}" for cell in cells]
            rows.append([f"{ratio:g}", f"{left:,}", f"{left / source['parameters']:.1%}", *tuned, *plain])
        heads = [f"{way.scoring}, {'in steps' if way.steps else 'at once'}" for way in ways]
        untouched = [f"{way.scoring}, not tuned" for way in ways if not way.steps]
        parts += [f"## {TITLES[data]}", table(["ratio", "parameters", "left", *heads, *untouched], rows)]
    parts.insert(1, study.figure(partial(draw, study), high=4.5))
    study.page("SCNNB: parameters against accuracy", *parts)


def draw(study: Study, axes: Any) -> None:
    """A line a way."""
    for way, colour in zip(WAYS, [f"C{number}" for number in range(len(WAYS))], strict=True):
        found = walk(study, way)
        style = "-" if way.steps else "--"
        label = f"{TITLES[way.data]}, {way.scoring}, {'in steps' if way.steps else 'at once'}"
        axes.plot(
            [cell["parameters"] for cell in found],
            [cell["accuracy"] for cell in found],
            style,
            color=colour,
            marker=".",
            label=label,
        )
    axes.set_xscale("log")
    axes.set_xlabel("parameters")
    axes.set_ylabel("accuracy, %")
    axes.legend(fontsize=7)


_ABOUT = """SCNNB (Lei et al. 2020, SN Applied Sciences 2:97): convolutions of 32 and 64 filters \
with batch normalisation, a dense layer of 1,280, a head. Trained here for 15 epochs on \
Fashion-MNIST and 12 on CIFAR-10, where the paper has 300 and reports 93.69 % on Fashion-MNIST. \
Every layer but the head loses the same share of its filters by L1 norm (Li et al. 2017, arXiv \
1608.08710); `greedy` ranks without the channels that are gone by then. `at once`: one cut of the \
source, then {epochs} epoch of fine-tuning. `in steps`: ten points more from row to row, each \
fine-tuned for {epochs} epoch, so that 0.9 has had 9. `not tuned`: accuracy after one cut and \
nothing else. Accuracy in percent on all 10,000 test images; the epoch is chosen on training images \
that are held back. The fine-tuning has no dropout, which the exporter takes out. The trained \
networks (16 and 21 MB) are too large for the repository; the script trains them again."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    study = Study("scnnb", words, about=(__doc__ or "").splitlines()[0])
    ways = WAYS[:2] if study.quick else WAYS
    for way in study.share(ways):
        walk(study, way)
    if study.quick:
        print([walk(study, way) for way in ways])
    elif not study.partial:
        page(study)


if __name__ == "__main__":
    main()
