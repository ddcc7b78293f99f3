"""Models side by side: latency at each number of threads and batch size, memory, load time, profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product

from onnxprune.coupling.groups import Floats
from onnxprune.errors import InputError, UsageError
from onnxprune.execution.execution import Refusal
from onnxprune.runtime.alone import Alone, measure_alone
from onnxprune.runtime.feeds import Feed, batch_of, inputs_for, working_feed
from onnxprune.runtime.machine import machine
from onnxprune.runtime.profile import Profile, record
from onnxprune.runtime.results import Benchmark, BenchSettings, Row, Setting, Subject
from onnxprune.runtime.sessions import Session, find_provider
from onnxprune.runtime.spread import ratio, timing
from onnxprune.runtime.turns import Advance, Timetable, in_turns

PROFILED_RUNS = 20
UNSTEADY = 1.3
"""A ninetieth percentile so many times the median deserves a note."""

Step = Callable[[str], None]


def run_benchmark(
    subjects: Sequence[Subject],
    settings: BenchSettings,
    *,
    step: Step | None = None,
    advance: Advance | None = None,
) -> Benchmark:
    """Measure models side by side.

    Args:
        subjects: one or more; the others are compared with the first.
        settings: what is measured, and for how long.
        step: told the name of each step as it begins.
        advance: told how far a step is.

    Raises:
        InputError: ONNX Runtime does not load or run a model.
        UsageError: settings that make no sense, or do not fit a model.
    """
    settings.check()
    return _Bench(tuple(subjects), settings, step or _silent, advance).run()


class _Bench:
    def __init__(
        self, subjects: tuple[Subject, ...], settings: BenchSettings, step: Step, advance: Advance | None
    ) -> None:
        self.subjects = subjects
        self.settings = settings
        self.step = step
        self.advance = advance
        self.inputs = [inputs_for(s.coupling, s.name, settings.shapes) for s in subjects]

    def run(self) -> Benchmark:
        own = self.settings
        self._check_shapes()
        providers = [find_provider(name) for name in own.providers]
        cells = list(product(own.threads, own.batch or (None,), providers))
        places = range(len(self.subjects))
        self.step("measuring memory")
        alone = tuple(self._alone(place, *cells[0]) for place in places)
        results = tuple(self._setting(*cell, seconds=own.seconds / len(cells)) for cell in cells)
        profiles: tuple[Profile, ...] = ()
        if own.profile:
            self.step("profiling")
            profiles = tuple(self._profile(place, *cells[0]) for place in places)
        return Benchmark(machine(), own, self.subjects, alone, results, profiles, tuple(_notes(results)))

    def _check_shapes(self) -> None:
        known = {value.name for own in self.inputs for value in own}
        for name in self.settings.shapes:
            if name not in known:
                raise UsageError(
                    f"--shape {name}: no model has an input of that name.",
                    hint=f"Inputs: {', '.join(sorted(known))}.",
                )

    def _alone(self, place: int, threads: int, batch: int | None, provider: str) -> Alone:
        path = self.subjects[place].path
        with self._allowed(place):
            _, feed, _ = self._opened(place, threads, batch, provider)
            return measure_alone(path, feed, threads=threads, provider=provider)

    def _setting(self, threads: int, batch: int | None, provider: str, *, seconds: float) -> Setting:
        self.step(f"running with {threads} thread{'s' * (threads > 1)}{f', batch {batch}' if batch else ''}")
        runs, batches = [], []
        for place in range(len(self.subjects)):
            session, feed, size = self._opened(place, threads, batch, provider)
            runs.append(partial(session.run, feed))
            batches.append(size)
        taken = in_turns(runs, Timetable(seconds, seed=self.settings.seed), self.advance)
        short = provider.removesuffix("ExecutionProvider").lower()
        return Setting(threads, short, rows_of(taken, batches, seed=self.settings.seed))

    def _profile(self, place: int, threads: int, batch: int | None, provider: str) -> Profile:
        path = self.subjects[place].path
        with self._allowed(place):
            _, feed, _ = self._opened(place, threads, batch, provider)
            return record(path, feed, runs=PROFILED_RUNS, threads=threads, provider=provider)

    def _opened(
        self, place: int, threads: int, batch: int | None, provider: str
    ) -> tuple[Session, Feed, int]:
        """A session, a feed that it runs on, and the samples in it."""
        subject, inputs = self.subjects[place], self.inputs[place]
        size = batch_of(inputs, batch, subject.name)
        with self._allowed(place):
            session = Session(subject.path, threads=threads, provider=provider)
        return session, working_feed(session, inputs, size, seed=self.settings.seed, name=subject.name), size

    @contextmanager
    def _allowed(self, place: int) -> Iterator[None]:
        """What ONNX Runtime refuses is the fault of the model.

        Raises:
            InputError: in place of the refusal.
        """
        try:
            yield
        except Refusal as exc:
            raise InputError(
                f"ONNX Runtime does not run {self.subjects[place].name}: {exc}.",
                hint="Check that the model runs by itself.",
            ) from exc


def rows_of(seconds: Sequence[Floats], batches: Sequence[int], *, seed: int) -> tuple[Row, ...]:
    """Run times as rows; all but the first with their ratio to it.

    Args:
        seconds: (rounds, runs in a visit) for each model, of the same rounds.
        batches: samples in one run of each.
        seed: of the bootstrap.
    """
    return tuple(
        Row(timing(own, seed=seed), ratio(own, seconds[0], seed=seed) if place else None, batch)
        for place, (own, batch) in enumerate(zip(seconds, batches, strict=True))
    )


def _notes(results: Sequence[Setting]) -> Iterator[str]:
    rows = [row for result in results for row in result.rows]
    if any(len({row.batch for row in result.rows}) > 1 for result in results):
        yield "the models run at different batch sizes, so their latencies do not compare"
    if any(row.timing.quantiles[90] > UNSTEADY * row.timing.median for row in rows):
        yield (
            "run times vary widely: the machine does other work, or its clock changes; the medians hold "
            "better than the other quantiles"
        )


def _silent(step: str) -> None:
    """Progress that nobody watches."""
