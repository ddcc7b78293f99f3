"""Accuracy that training wins back after pruning, against epochs.

    python benchmarks/finetuning.py [prune|train|page] [--shared FOLDER] [--cache FOLDER] [--work FOLDER]
        [--networks NAME,...] [--device cpu|cuda] [--precision fp32|bf16] [--epochs N] [--threads N] [--quick]

Three stages, each of which goes on where it was stopped: ``prune`` cuts and repairs the networks with the
command line, ``train`` fine-tunes them with the network before pruning as the teacher, ``page`` measures all
files with ONNX Runtime on the whole test set and writes ``docs/benchmarks/finetuning.md`` and its plot.
Without a stage all three run. The middle one may run on another machine: it needs the files in ``--work``,
the sources and the training images. SCNNB is trained by ``fixtures/make_fixtures.py --only scnnb_fashion
--cache FOLDER/networks``; what is missing is left out.

For a network NAME the folder ``--work`` holds ``NAME.pruned.onnx`` and ``NAME.cut.json``, ``NAME.tuned.onnx``
and ``NAME.train.json``, and ``NAME.accuracy.json``. The first two pairs may as well be output and
``--report`` of the command line, made elsewhere. Where a network is trained in several legs, those before the
last one end in ``NAME.leg1.onnx`` and ``NAME.leg1.json`` and so on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
from harness import PAGES, measure, table, write_page

if TYPE_CHECKING:
    from onnxprune.model import Model
    from onnxprune.training import Trained

PLOT = PAGES.parent / "images" / "finetuning.png"


@dataclass(frozen=True)
class Leg:
    """One training; a leg after it is a warm restart.

    Loshchilov and Hutter 2017, arXiv 1608.03983.

    Attributes:
        epochs: that it takes.
        settings: of ``TrainSettings``; nothing was chosen by test images.
    """

    epochs: float
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """A network, how far it is pruned, and how it is trained.

    Attributes:
        name: of its files.
        title: in the table.
        path: of the source: in the shared folder, or in the cache where it begins with ``networks``.
        macs: share of the MACs that stays.
        legs: of the training.
        samples: training images, without labels, that criterion and repair are calibrated on.
    """

    name: str
    title: str
    path: str
    macs: float
    legs: tuple[Leg, ...]
    samples: int = 512

    def source(self, shared: Path, kept: Path) -> Path:
        """Where the network is."""
        return (kept if self.path.startswith("networks") else shared) / self.path


RESNET56_PATH = "models/resnet56_cifar10.onnx"

_RESNET56 = {
    "augment": "cifar",
    "lr": 0.008,
    "validation": 0.02,
    "features": ("/layer?/layer?.8/Relu_1_output_0",),  # ends of the stages
    "feature_weight": 150.0,
}

_BLOCKS = {
    "features": ("/layer?/layer?.?/Relu_1_output_0",),  # ends of the blocks
    "feature_weight": 300.0,
}

_MIXED = {"mixup": 0.2, "keep": "last"}

_AVERAGED = {
    **_MIXED,
    "cutmix": 1.0,
    "mirror": True,
    "lr": 0.02,
    "feature_weight": 100.0,
    "schedule": "constant",
    "swa": 0.5,
}

JOBS = (
    Job(
        "resnet56_mirror",
        "ResNet-56, mirrored, averaged",
        RESNET56_PATH,
        0.476,
        (Leg(14, {**_RESNET56, **_BLOCKS, **_AVERAGED}),),
        samples=2048,
    ),
    Job(
        "resnet56_short",
        "ResNet-56, without these",
        RESNET56_PATH,
        0.476,
        (Leg(14, {**_RESNET56, **_BLOCKS, **_MIXED}),),
        samples=2048,
    ),
    Job(
        "resnet56",
        "ResNet-56, CIFAR-10",
        RESNET56_PATH,
        0.476,
        (Leg(16, _RESNET56), Leg(22, {**_RESNET56, **_MIXED})),
    ),
    Job(
        "resnet20",
        "ResNet-20, CIFAR-10",
        "models/resnet20_cifar10.onnx",
        0.476,
        (Leg(10, {"augment": "cifar", "validation": 0.02}),),
    ),
    Job(
        "scnnb",
        "SCNNB, Fashion-MNIST",
        "networks/scnnb_fashion.onnx",
        0.476,
        (Leg(10, {"augment": "flip,crop=2", "validation": 0.02}),),
    ),
)


@dataclass(frozen=True)
class Bench:
    """Where things are, and how they are run."""

    shared: Path
    kept: Path
    work: Path
    device: str
    precision: str
    epochs: float | None
    threads: int | None
    quick: bool

    def file(self, job: Job, kind: str) -> Path:
        """A file of a job."""
        return self.work / f"{job.name}{'.quick' if self.quick else ''}.{kind}"

    def data(self, job: Job, part: str) -> tuple[str, str]:
        """``--data`` and ``--preprocess`` of a part of the data set."""
        _, data, _, steps = datasets.data_options(
            job.source(self.shared, self.kept), part, shared=self.shared, kept=self.kept
        )
        return data, steps


def prune(bench: Bench, job: Job) -> None:
    """Prune and repair a network; its report stands beside it."""
    output = bench.file(job, "pruned.onnx")
    if output.is_file():
        return
    data, steps = bench.data(job, "train")
    command = [sys.executable, "-m", "onnxprune", job.source(bench.shared, bench.kept), "-o", output]
    command += ["--macs", f"{job.macs:g}x", "--align", "off", "--data", data.split(",")[0], "--json"]
    done = measure([*command, "--preprocess", steps, "--samples", str(job.samples)], allowed=(0, 1))
    report = json.loads(done.output)
    bench.file(job, "cut.json").write_text(json.dumps({"totals": report["totals"]}))
    print(f"{job.title}: pruned in {done.seconds:.0f} s", flush=True)


def train(bench: Bench, job: Job) -> None:
    """Fine-tune a pruned network; a run that was stopped goes on."""
    from onnxprune.model import load_model, save_model
    from onnxprune.training import forget

    start = bench.file(job, "pruned.onnx")
    for number, leg in enumerate(job.legs, start=1):
        last = number == len(job.legs)
        output = bench.file(job, "tuned.onnx" if last else f"leg{number}.onnx")
        account = bench.file(job, "train.json" if last else f"leg{number}.json")
        if not account.is_file():
            folder = bench.file(job, "run" if last else f"leg{number}.run")
            found = _trained(bench, job, leg, load_model(start), folder)
            save_model(found.model, output)
            account.write_text(json.dumps({"training": found.to_dict()}))
            forget(folder)
        start = output


def _trained(bench: Bench, job: Job, leg: Leg, model: Model, folder: Path) -> Trained:
    from onnxprune.calibration import open_samples
    from onnxprune.model import load_model
    from onnxprune.training import TrainSettings
    from onnxprune.training import train as train_model

    data, steps = bench.data(job, "train")
    settings = TrainSettings(
        epochs=bench.epochs or (1 if bench.quick else leg.epochs),
        device=bench.device,
        precision=bench.precision,
        threads=bench.threads,
        **leg.settings,
    )
    found = train_model(
        model,
        open_samples(data, model, preprocess=steps, count=1000 if bench.quick else None),
        settings,
        teacher=load_model(job.source(bench.shared, bench.kept)),
        folder=folder,
        progress=Told(job.title),
    )
    if found.interrupted:
        raise SystemExit(130)
    return found


class Told:
    """Prints a line an epoch."""

    def __init__(self, title: str) -> None:
        self._title = title

    def __call__(self, name: str) -> None:
        """A step begins."""

    def advance(self, done: int, total: int) -> None:
        """It goes on."""

    def tell(self, text: str) -> None:
        """How it goes."""

    def line(self, text: str) -> None:
        """An epoch has ended."""
        print(f"{self._title}: {text}", flush=True)


def accuracies(bench: Bench, job: Job) -> dict[str, float]:
    """Accuracy in percent of source, pruned and trained file on the test set, by ONNX Runtime."""
    from onnxprune import evaluate

    data, steps = bench.data(job, "test")
    files = {
        "source": job.source(bench.shared, bench.kept),
        "repaired": bench.file(job, "pruned.onnx"),
        "trained": bench.file(job, "tuned.onnx"),
    }
    known = bench.file(job, "accuracy.json")
    if known.is_file() and known.stat().st_mtime > files["trained"].stat().st_mtime:
        return dict(json.loads(known.read_text()))
    count = 500 if bench.quick else None
    found = {
        name: 100 * evaluate(path, data, preprocess=steps, metrics=["accuracy"], samples=count)["accuracy"]
        for name, path in files.items()
    }
    known.write_text(json.dumps(found))
    return found


def page(bench: Bench, jobs: Sequence[Job], note: str = "") -> None:
    """Measure all files, and write the page and its plot; a note on how it was run goes below."""
    done = [job for job in jobs if bench.file(job, "train.json").is_file()]
    parts = list(_parts(bench, done))
    if bench.quick:
        print("\n\n".join(parts))
        return
    _plot(bench, done)
    write_page("finetuning", "Accuracy won back with training", *parts, *filter(None, (note,)))


def _parts(bench: Bench, jobs: Sequence[Job]) -> Iterator[str]:
    yield _INTRODUCTION
    rows, courses = [], []
    for job in jobs:
        cut = json.loads(bench.file(job, "cut.json").read_text())["totals"]
        legs = _accounts(bench, job)
        found, account = accuracies(bench, job), legs[-1]["account"]
        rows.append(
            [
                job.title,
                str(job.samples),
                f"{cut['macs'][0] / cut['macs'][1]:.2f}",
                f"{cut['params'][0] / cut['params'][1]:.2f}",
                *(f"{found[name]:.2f}" for name in ("source", "repaired", "trained")),
                " + ".join(f"{leg['account']['settings']['epochs']:g}" for leg in legs),
                f"{account['settings']['batch']}, {account['peak_lr']:g}",
                f"{sum(leg['account']['seconds'] for leg in legs) / 60:.1f}",
                f"{account['device']}, {account['precision']}",
            ]
        )
        courses.append([job.title, *_course(_history(legs))])
    heads = ["network", "images", "MACs, times fewer", "parameters", "source", "repaired", "trained"]
    yield table([*heads, "epochs", "batch, lr", "minutes", "device"], rows)
    yield _COURSE
    yield table(["network", *_MARKS], courses)
    yield f"![Accuracy against epochs](../images/{PLOT.name})"


def _accounts(bench: Bench, job: Job) -> list[dict[str, Any]]:
    """``training`` of every leg."""
    names = [f"leg{number}.json" for number in range(1, len(job.legs))]
    return [json.loads(bench.file(job, name).read_text())["training"] for name in (*names, "train.json")]


def _history(legs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The start and the epochs of all legs."""
    return [*legs[0]["history"], *(epoch for leg in legs[1:] for epoch in leg["history"][1:])]


_MARKS = ("start", "1", "2", "4", "8", "12", "14", "16", "20", "24", "32", "38")


def _course(history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for mark in (0, *map(int, _MARKS[1:])):
        yield f"{100 * history[mark]['metric']:.2f}" if mark < len(history) else ""


_INTRODUCTION = """Networks are pruned to a share of their MACs with the default criterion and repair \
(`--align off`, on training images without labels), then trained with `onnxprune finetune`; the teacher is \
the network before pruning. Accuracy in percent is that of the written files in ONNX Runtime on the whole \
test set, by which nothing was chosen. Minutes are those of the training, validation included."""

_COURSE = """Validation accuracy in percent by epoch, on the samples held back from the training data. The \
sources were trained on these samples too, so that it lies above that of the test set."""


def _plot(bench: Bench, jobs: Sequence[Job]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, max(1, len(jobs)), figsize=(4 * max(1, len(jobs)), 3.2), squeeze=False)
    for axis, job in zip(axes[0], jobs, strict=False):
        history = _history(_accounts(bench, job))
        found = accuracies(bench, job)
        axis.plot([100 * epoch["metric"] for epoch in history], label="held back")
        last = len(history) - 1
        for name, colour in (("source", "black"), ("repaired", "tab:red"), ("trained", "tab:green")):
            axis.hlines(found[name], 0, last, colors=colour, linestyles="dotted", label=f"{name}, test set")
        axis.set(title=job.title, xlabel="epochs", ylabel="accuracy, %")
        axis.legend(fontsize=7, loc="center right")
    figure.tight_layout()
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=120, metadata={"Software": None})


def main() -> None:
    """Run the stages that are asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    datasets.add_arguments(parser)
    parser.add_argument("stage", nargs="?", choices=("prune", "train", "page"), help="all without it")
    parser.add_argument("--work", type=Path, help="folder for networks and results, else in the cache")
    parser.add_argument("--networks", default=",".join(job.name for job in JOBS), help="names, with commas")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--epochs", type=float, help="instead of those of the table")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--note", default="", help="what a reader of the page has to know")
    parser.add_argument("--quick", action="store_true", help="one epoch on 1,000 samples, no page")
    given = parser.parse_args()
    work = given.work or given.cache / "finetuning"
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        given.shared,
        given.cache,
        work,
        given.device,
        given.precision,
        given.epochs,
        given.threads,
        given.quick,
    )
    jobs = [
        job
        for job in JOBS
        if job.name in given.networks.split(",") and job.source(given.shared, given.cache).is_file()
    ]
    for stage, run in (("prune", prune), ("train", train)):
        for job in jobs if given.stage in (None, stage) else ():
            run(bench, job)
    if given.stage in (None, "page"):
        page(bench, jobs, given.note)


if __name__ == "__main__":
    main()
