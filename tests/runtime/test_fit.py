"""Layer times out of profiles that are made up, so that what has to come out is known."""

import numpy as np
import pytest

from onnxprune.runtime.latency.fit import Observations, fit, nonnegative
from onnxprune.runtime.profile import Node, Profile

RNG = np.random.default_rng(0)
WIDTHS = RNG.integers(1, 9, (20, 3)) * 16.0
RUNS = 8


def conv(name, source, target, seconds):
    shape = [(1, int(source), 7, 7), (int(target), int(source), 3, 3)], [(1, int(target), 7, 7)]
    spread = 1 + 0.02 * RNG.random(RUNS)
    return Node(name, "Conv", "CPU", seconds * spread, *map(tuple, shape))


def profiles(pace=None):
    """first: a constant and a product of two widths; second: one width alone; numbered nodes beside them."""
    found = []
    for row, (a, b, c) in enumerate(WIDTHS):
        slow = 1.0 if pace is None else pace[row]
        nodes = [
            conv("first", a, b, slow * (1e-5 + 2e-8 * a * b)),
            conv("second", c, 10, slow * 3e-6 * c),
            conv(f"Reorder_token_{row}", a, b, slow * 1e-6),
        ]
        found.append(Profile(tuple(nodes), np.ones(RUNS)))
    return tuple(found)


def terms(found, name):
    return {axes: seconds for seconds, axes in next(n for n in found.nodes if n.name == name).terms}


def test_times_are_found_as_functions_of_widths():
    found = fit(Observations(profiles(), WIDTHS))
    assert [node.name for node in found.nodes] == ["first", "second"]
    assert terms(found, "first")[0, 1] == pytest.approx(2e-8, rel=0.05)
    assert terms(found, "second")[2,] == pytest.approx(3e-6, rel=0.05)
    assert found.error < 0.02
    assert sum(found.rest) > 0


def test_a_pace_that_changes_is_taken_out():
    pace = np.where(np.arange(20) % 4 == 0, 1.7, 1.0)
    found = fit(Observations(profiles(pace), WIDTHS))
    assert found.pace == pytest.approx(1.7, rel=0.05)
    assert found.error < 0.03
    assert terms(found, "first")[0, 1] == pytest.approx(2e-8, rel=0.08)


@pytest.mark.parametrize("seed", range(20))
def test_least_squares_without_negative_coefficients(seed):
    """Against all sets of coefficients that may be zero."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((12, 4)) + 0.5
    wanted = rng.standard_normal(12)
    best = float(wanted @ wanted)
    for mask in range(1, 16):
        free = [i for i in range(4) if mask >> i & 1]
        trial = np.linalg.lstsq(features[:, free], wanted, rcond=None)[0]
        if (trial >= 0).all():
            best = min(best, float(((wanted - features[:, free] @ trial) ** 2).sum()))
    found = nonnegative(features, wanted)
    assert (found >= 0).all()
    assert float(((wanted - features @ found) ** 2).sum()) == pytest.approx(best, rel=1e-6)
