"""Runs models in turns, so that a change in the machine's pace meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onnxprune.coupling.groups import Floats

Run = Callable[[], object]

Clock = Callable[[], float]
"""Seconds from some start."""

Advance = Callable[[int, int], None]
"""Told how much of the work is done, and of how much."""

WARM_UP = 3
"""Runs of each model before anything counts."""
LEAST_ROUNDS = 5
MOST_RUNS = 50
FINE = 1e-6
"""Seconds that a clock has to tell apart."""
VISIT = 0.02
"""Seconds that a visit to a model lasts at least, unless that takes more than ``MOST_RUNS`` runs."""


@dataclass(frozen=True)
class Timetable:
    """How long, and in which order.

    Attributes:
        seconds: for all models together, the rounds that must be included.
        seed: of the order.
        clock: that runs are timed by.
    """

    seconds: float
    seed: int = 0
    clock: Clock = time.perf_counter


def in_turns(runs: Sequence[Run], plan: Timetable, advance: Advance | None = None) -> list[Floats]:
    """Time all models, each round in another order.

    A round visits every model once. A visit begins with a run that does not count, which brings the
    weights back into the caches, and then times some runs one by one.

    Args:
        runs: one call runs one model once.
        plan: how long, and in which order.
        advance: told the progress in hundredths.

    Returns:
        Seconds of every run, (rounds, runs in a visit) for each model.
    """
    begin = time.perf_counter()
    visits = [_runs_in_a_visit(run, plan.clock) for run in runs]
    order = np.random.default_rng(plan.seed)
    taken: list[list[list[float]]] = [[] for _ in runs]
    done = 0
    while done < LEAST_ROUNDS or time.perf_counter() - begin < plan.seconds:
        for place in order.permutation(len(runs)).tolist():
            taken[place].append(_visit(runs[place], visits[place], plan.clock))
        done += 1
        if advance is not None:
            passed = (time.perf_counter() - begin) / max(plan.seconds, 1e-9)
            advance(min(100, round(100 * passed)), 100)
    return [np.array(own) for own in taken]


def joined(first: Floats, second: Floats) -> Floats:
    """Rounds of two sittings, (rounds, runs); of visits of different length the shorter counts."""
    runs = min(first.shape[1], second.shape[1])
    return np.concatenate([first[:, :runs], second[:, :runs]])


def steady_clock(threads: int) -> Clock:
    """The clock that tells most about a model on a busy machine.

    With one thread ONNX Runtime works in the thread that calls it, and the time of that thread on the
    processor is the latency without the waits that other programs cause. With more there is only the wall.

    Args:
        threads: of ONNX Runtime.
    """
    fine = time.get_clock_info("thread_time").resolution <= FINE
    return time.thread_time if threads == 1 and fine else time.perf_counter


def _runs_in_a_visit(run: Run, clock: Clock) -> int:
    """How many timed runs make a visit long enough; warms up on the way."""
    fastest = min(_visit(run, WARM_UP, clock))
    return int(np.clip(np.ceil(VISIT / max(fastest, 1e-6)), 2, MOST_RUNS))


def _visit(run: Run, times: int, clock: Clock) -> list[float]:
    run()
    found = []
    for _ in range(times):
        begin = clock()
        run()
        found.append(clock() - begin)
    return found
