"""The trials of a sweep: taken one by one from a study that other processes may take from too."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from onnxprune.api.holding import Shares
from onnxprune.api.job import open_job
from onnxprune.api.scanning import shown_metric
from onnxprune.api.settings import Settings
from onnxprune.api.timing import SECONDS, Pace
from onnxprune.api.workshop import MODELS, Material, Workshop
from onnxprune.calibration import notes_of
from onnxprune.coupling import Coupling
from onnxprune.errors import InputError, TargetError, UsageError, VerificationError
from onnxprune.evaluation import METRICS, Evaluation, Figure
from onnxprune.model.naming import quoted
from onnxprune.report.build import describe_source
from onnxprune.runtime.machine import machine
from onnxprune.sensitivity import HeldSamples, digest_of
from onnxprune.sweep.document import Row, Sweep, loss, marked
from onnxprune.sweep.shelf import Shelf, file_lock, unusable, write_text
from onnxprune.sweep.space import NONE, Config, Outcome, Space, from_key
from onnxprune.sweep.study import GRID, Queue, open_study, seeded

POLL = 0.5
"""Seconds between two looks at what other processes are doing."""

DULL = 30
"""Proposals of a sampler without a new one among them after which it has nothing to say."""

FAILURES = (TargetError, InputError, VerificationError)
"""What is told of a single way of pruning; the others go on."""


@dataclass(frozen=True)
class SweepSettings:
    """What is tried, and where that is kept.

    Attributes:
        space: what may be tried.
        folder: of models, study and steps.
        trials: how many ways the study shall hold; None for the whole grid.
        sampler: who chooses them.
        storage: URL of a database, or path of a journal; None for a journal in the folder.
        latency: whether it is measured.
        seconds: of the timed runs of each model and the source.
    """

    space: Space
    folder: Path
    trials: int | None = None
    sampler: str = GRID
    storage: str | None = None
    latency: bool = True
    seconds: float = SECONDS


class Run:
    """One process's part in a sweep.

    Args:
        coupling: of the source.
        shares: samples to fit to, and others to judge by, known by what they contain.
        settings: what all ways of pruning have in common.
        own: what is tried.
        step: told the name of each step, and the trials where it has a method ``trial``.

    Raises:
        UsageError: the folder holds another sweep.
        OutputError: results cannot be kept.
    """

    def __init__(
        self,
        coupling: Coupling,
        shares: Shares,
        settings: Settings,
        own: SweepSettings,
        step: Callable[[str], None],
    ) -> None:
        self.coupling, self.shares, self.settings, self.own, self.step = coupling, shares, settings, own, step
        pace = Pace(settings.threads or 1, own.seconds, settings.seed) if own.latency else None
        key = _key(coupling, shares, settings)
        self.digest = sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        shelf = _shelf(own.folder, key)
        material = Material(coupling, shares, settings, shelf, own.folder, pace)
        self.workshop = Workshop(material, own.space.criteria, step)
        self.metric = ""
        self.notes: list[str] = []

    def run(self) -> Sweep:
        """Do what is left to do, and give everything that is done."""
        rows = list(self._sources())
        queue = self._queue()
        try:
            wanted = self._grid(queue) if self.own.sampler == GRID else self._sampled(queue)
        finally:
            self.step("collecting results")
        outcomes, reasons = queue.outcomes(), queue.reasons()
        for key in wanted or _in_order(outcomes, reasons):
            rows.append(Row(from_key(key), outcomes.get(key, {}), reasons.get(key, "")))
        whole = rows[0].outcome["macs"]
        idle = [
            row.config.pruned
            for row in rows[1:]
            if not row.config.is_source and row.outcome.get("macs") == whole
        ]
        if idle:
            self.notes.append(_idle_note(dict.fromkeys(idle)))
        held = self.shares.held
        assert held is not None
        return Sweep(
            self.metric,
            marked(rows, self.metric),
            self.own.space,
            self._about(),
            describe_source(self.coupling.model),
            held.description,
            held.count,
            str(self.own.folder),
            str(machine()) if self.own.latency else "",
            (*notes_of(held), *self.notes),
        )

    def _sources(self) -> Iterable[Row]:
        """The model as it is and its quantised copies; the first of them tells what can be measured."""
        for config in self.own.space.sources():
            self._tell(config, 0, 0)
            try:
                found = self.workshop.outcome(config)
            except FAILURES as exc:
                if config.quantize == NONE:
                    raise
                yield Row(config, {}, exc.message)
                continue
            if not self.metric:
                figures = {
                    name: Figure(own["value"], *own["interval"]) for name, own in found["metrics"].items()
                }
                self.metric = shown_metric(self.settings.metric, Evaluation(figures, 0, ""))
            yield Row(config, found)

    def _queue(self) -> Queue:
        space = self.own.space
        costs = ("latency",) if self.own.latency else ()
        parts = [self.digest, self.metric, *costs]
        if self.own.sampler != GRID:  # the choices of a study are fixed once and for all
            parts.append(sha256(json.dumps(space.to_dict()).encode()).hexdigest()[:8])
        name = "-".join([GRID if self.own.sampler == GRID else "sampled", *parts])
        directions = ["minimize"] * (3 + len(costs))
        self.study = open_study(self.own.storage, self.own.folder, name, directions)
        return Queue(self.study, self.own.folder / "offers.lock")

    def _grid(self, queue: Queue) -> list[str]:
        """Everything in the lists, or the first ``trials`` of it."""
        configs = list(self.own.space.grid())[: self.own.trials]
        while True:
            queue.collect()
            queue.offer(configs)
            done = {**queue.outcomes(), **queue.reasons()}
            left = [config for config in configs if config.key not in done]
            if not left:
                return [config.key for config in configs]
            if queue.waiting() and self._take(queue, len(configs) - len(left), len(configs)):
                continue
            self.step(f"waiting for other processes: {len(left)} of {len(configs)} to come")
            time.sleep(POLL)

    def _sampled(self, queue: Queue) -> list[str]:
        """What a sampler chooses, until the study holds ``trials`` of it."""
        assert self.own.trials is not None
        total, dull = self.own.trials, 0
        while True:
            for config in queue.collect():
                queue.retry(config)
            done = len(queue.outcomes()) + len(queue.reasons())
            if done >= total:
                return []
            if self._all_done(queue):
                self.notes.append(f"the lists hold no more than {done} ways, {total} trials were asked for")
                return []
            with file_lock(self.own.folder / "choice.lock"):
                claimed = None
                if queue.waiting() or done + queue.running() < total:
                    claimed = self._claim(queue)
            if claimed is None:
                self.step(f"waiting for other processes: {total - done} of {total} to come")
                time.sleep(POLL)
                continue
            trial, config, first = claimed
            dull = 0 if first else dull + 1
            if first:
                self._work(queue, trial, config, done, total)
            elif dull >= DULL:
                self.notes.append(
                    f"the sampler proposes nothing new after {done} of {total} trials: "
                    "the lists may hold no more"
                )
                return []

    def _all_done(self, queue: Queue) -> bool:
        """Whether there is nothing left to choose."""
        space = self.own.space
        there = queue.outcomes().keys() | queue.reasons().keys()
        return space.span is None and all(config.key in there for config in space.grid())

    def _claim(self, queue: Queue) -> tuple[Any, Config, bool]:
        """A trial, what it is to try, and whether it is the first to try it."""
        seeded(self.study, self.own.sampler, self.settings.seed)
        trial = queue.ask()
        known = trial.user_attrs.get("config")
        config = from_key(known) if known else self.own.space.suggest(trial)
        return trial, config, queue.first(trial, config)

    def _take(self, queue: Queue, done: int, total: int) -> bool:
        """Do one trial of those that wait; False where another process was faster."""
        trial = queue.ask()
        known = trial.user_attrs.get("config")
        if known is None:
            queue.release(trial)
            return False
        config = from_key(known)
        if queue.first(trial, config):
            self._work(queue, trial, config, done, total)
        return True

    def _work(self, queue: Queue, trial: Any, config: Config, done: int, total: int) -> None:
        self._tell(config, done, total)
        with queue.working(trial):
            try:
                found = self.workshop.outcome(config)
            except FAILURES as exc:
                queue.refuse(trial, exc.message)
                return
            queue.finish(trial, found, self._values(found))

    def _values(self, found: Outcome) -> list[float]:
        """What a study weighs: the loss, MACs, bytes, and the latency."""
        bad = loss(METRICS[self.metric], float(found["metrics"][self.metric]["value"]))
        timed = [float(found["latency"]["ratio"])] if self.own.latency else []
        return [bad, float(found["macs"]), float(found["bytes"]), *timed]

    def _tell(self, config: Config, done: int, total: int) -> None:
        told = getattr(self.step, "trial", None)
        if told is not None:
            told(config.title, done, total)

    def _about(self) -> dict[str, Any]:
        """What decides the results, as the report states it."""
        job = open_job(replace(self.settings, ratio=0.5))
        about = job.to_dict()
        left_out = ("target", "criterion", "criteria", "quantize", "verify", "strict", "layer_ratios")
        kept = {name: value for name, value in about.items() if name not in left_out}
        own = self.own
        return {**kept, "sampler": own.sampler, "trials": own.trials, "ranges": self.settings.ranges}


def _idle_note(pruned: Iterable[str]) -> str:
    """What the user should know of ways of pruning that leave the model as it is."""
    return f"nothing is removed by {'; '.join(pruned)}: layers have few aligned counts, --align off has all"


def _in_order(outcomes: Iterable[str], reasons: Iterable[str]) -> list[str]:
    return [*outcomes, *reasons]


def _key(coupling: Coupling, shares: Shares, settings: Settings) -> dict[str, Any]:
    """What every result depends on, whatever is tried."""
    from onnxprune import __version__

    assert isinstance(shares.fitting, HeldSamples)
    assert isinstance(shares.held, HeldSamples)
    job = open_job(replace(settings, ratio=0.5))
    return {
        "version": __version__,
        "model": digest_of(coupling.model),
        "samples to fit to": shares.fitting.digest,
        "samples held back": shares.held.digest,
        "--metric": settings.metric,
        "--output-name": settings.output_name,
        "--scope": settings.scope,
        "--align": job.grid,
        "--include": list(settings.include),
        "--exclude": list(settings.exclude),
        "--granularity": settings.granularity,
        "--ranges": settings.ranges,
        "--seed": settings.seed,
    }


def _shelf(folder: Path, key: dict[str, Any]) -> Shelf:
    """The folder of a sweep, made where it is not there yet.

    Raises:
        UsageError: it holds another sweep.
        OutputError: it cannot be made.
    """
    try:
        (folder / MODELS).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise unusable(folder, exc) from exc
    shelf = Shelf(folder / "cache", key)
    about = folder / "sweep.key.json"
    with file_lock(folder / "study.lock"):
        if not about.exists():
            write_text(about, json.dumps(key, indent=1))
    found = json.loads(about.read_text(encoding="utf-8"))
    other = [name for name in key if found.get(name) != key[name]]
    if other:
        raise UsageError(
            f"{quoted(folder)} holds a sweep with other settings: {', '.join(other)}.",
            hint="Name another folder with -o, or remove that one.",
        )
    return shelf
