"""What each criterion costs on a large network: seconds and memory.

    python benchmarks/criteria_cost.py FOLDER [--model resnet50] [--samples 256] [--threads 1]

FOLDER holds the exports that ``benchmarks/zoo.py`` makes. Each criterion runs in a fresh process on random
images; the model is loaded and coupled first, which is not counted. Beside them stands what running the
model on the same images costs by itself. Writes ``docs/benchmarks/criteria_cost.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harness import exports, measure, table, write_page

from onnxprune import couple, criterion, load_model, score_groups
from onnxprune.calibration import ArraySamples, Evidence
from onnxprune.calibration.memory import MOST_SAMPLES
from onnxprune.coupling import Coupling
from onnxprune.criteria import known

VARIANTS = ("ts_dyn", "dynamo_dyn", "ts_static", "dynamo_static")
FORWARD = "(the model alone)"
CLASSES = 10
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Work:
    """What a child process does."""

    path: Path
    samples: int
    threads: int


def random_images(coupling: Coupling, count: int) -> ArraySamples:
    """Images of the model's size, with labels."""
    rng = np.random.default_rng(0)
    name, shape = next(iter(coupling.traces.first.freeze.inputs.items()))
    assert shape is not None
    images = rng.standard_normal((count, *shape[1:]), np.float32)
    return ArraySamples({name: images}, rng.integers(0, CLASSES, count))


def run_alone(coupling: Coupling, samples: ArraySamples, threads: int) -> None:
    """The model on all samples, nothing measured."""
    from onnxprune.execution import Runner

    runner = Runner(coupling.model, threads=threads)
    fixed = coupling.traces.first.freeze.batch == 1
    for batch in samples.batches(1 if fixed else MOST_SAMPLES):
        runner.run(batch.feed)


def score(name: str, coupling: Coupling, samples: ArraySamples, threads: int) -> None:
    """One criterion, from the samples to the scores of all groups."""
    chosen = criterion(name)
    evidence = Evidence()
    if chosen.needs:
        from onnxprune.reconstruction.evidence import gather

        evidence = gather(coupling, samples, chosen.needs, threads=threads)
    score_groups(coupling.structure, coupling.model.constants, chosen, evidence=evidence)


def child(name: str, work: Work) -> dict[str, float]:
    """Seconds of one criterion, and the memory that it took beyond what was there before."""
    coupling = couple(load_model(work.path))
    samples = random_images(coupling, work.samples)
    with Peak() as peak:
        begin, used = time.perf_counter(), time.process_time()
        if name == FORWARD:
            run_alone(coupling, samples, work.threads)
        else:
            score(name, coupling, samples, work.threads)
        found = {"seconds": time.perf_counter() - begin, "processor": time.process_time() - used}
    return {**found, "bytes": peak.bytes}


class Peak:
    """Largest resident set while it is open, beyond that at its beginning; looked at every 20 ms."""

    bytes = 0

    def __enter__(self) -> Peak:
        self._before, self._open = _resident(), True
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        self._watch.join()

    def _look(self) -> None:
        while self._open:
            self.bytes = max(self.bytes, _resident() - self._before)
            time.sleep(0.02)


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    except OSError:  # no such file outside Linux: the largest so far has to do
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def row(name: str, own: dict[str, float], alone: float) -> tuple[str, ...]:
    """The row of one criterion, beside the processor time of the model alone."""
    shown = "*the model alone*" if name == FORWARD else f"`{name}`"
    figures = (own["seconds"], own["processor"], own["processor"] / alone)
    return shown, *(f"{figure:.1f}" for figure in figures), f"{own['bytes'] / 1e6:.0f}"


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        name, path, samples, threads = sys.argv[2:6]
        print(json.dumps(child(name, Work(Path(path), int(samples), int(threads)))))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--note", default="", help="a sentence for the page, on the machine for example")
    arguments = parser.parse_args()
    path = exports(arguments.folder, [arguments.model], VARIANTS)[arguments.model]
    found = {}
    for name in (FORWARD, *known()):
        command = [sys.executable, __file__, "--child", name, path]
        done = measure([*command, str(arguments.samples), str(arguments.threads)])
        found[name] = json.loads(done.output)
        print(f"{name}: {found[name]['seconds']:.1f} s", file=sys.stderr, flush=True)
    alone = found[FORWARD]["processor"]
    ordered = sorted(found.items(), key=lambda item: item[1]["processor"])
    rows = [row(name, own, alone) for name, own in ordered]
    write_page(
        "criteria_cost",
        "Cost of the criteria",
        f"{path.stem}, untrained, {arguments.samples} random images, threads: {arguments.threads}. Seconds "
        "from the samples to the scores of all groups, sessions and torch modules included, but not loading "
        "and coupling. *Runs* is the processor time over that of running the model on the same images in "
        "ONNX Runtime. Memory is what is added to the model, its coupling and the images. Criteria that look "
        "at weights alone take no samples.",
        table(("criterion", "seconds", "processor, s", "runs", "memory, MB"), rows),
        *([arguments.note] if arguments.note else []),
    )


if __name__ == "__main__":
    main()
