from itertools import count

import numpy as np

from onnxprune.runtime.turns import LEAST_ROUNDS, MOST_RUNS, Timetable, in_turns, joined, steady_clock


def test_every_round_visits_every_model():
    visited = []
    ticks = count()
    runs = [lambda name=name: visited.append(name) for name in "abc"]
    told = []
    taken = in_turns(runs, Timetable(0.0, clock=lambda: next(ticks)), lambda *done: told.append(done))
    assert [own.shape[0] for own in taken] == [LEAST_ROUNDS] * 3
    assert all((own == 1).all() for own in taken)
    assert told[-1] == (100, 100)
    rounds = [name for place, name in enumerate(visited) if place == 0 or visited[place - 1] != name]
    assert {"".join(sorted(set(rounds[i : i + 3]))) for i in range(0, len(rounds) - 2, 3)} <= {
        "abc",
        "ab",
        "bc",
        "ac",
    }


def test_fast_models_run_often_in_a_visit_and_slow_ones_twice():
    clock = {"now": 0.0}

    def lasting(seconds):
        def run():
            clock["now"] += seconds

        return run

    fast, slow = in_turns([lasting(1e-5), lasting(1.0)], Timetable(0.0, clock=lambda: clock["now"]))
    assert fast.shape[1] == MOST_RUNS
    assert slow.shape[1] == 2


def test_sittings_are_joined():
    found = joined(np.zeros((2, 5)), np.ones((3, 4)))
    assert found.shape == (5, 4)
    assert found.sum() == 12


def test_one_thread_is_timed_on_the_processor():
    first, second = steady_clock(1), steady_clock(2)
    assert first() <= first()
    assert second() <= second()
