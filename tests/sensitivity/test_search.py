"""The search for the most that can go within a bound, on losses that are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from onnxprune.evaluation import Figure
from onnxprune.plan.costs import Costs
from onnxprune.sensitivity.curves import curve
from onnxprune.sensitivity.document import Point, Row
from onnxprune.sensitivity.search import MOST_CHOICES, Problem, search, thinned

SIZES = np.array([16, 32, 64])
NAMES = ("a", "b", "c")
WEIGHTS = np.array([1.0, 2.0, 4.0])
"""Costs of the groups; the total is what is left of each, added up."""


def costs() -> Costs:
    """A model whose cost is the sum of its groups' shares, weighted."""
    return Costs(
        groups=3,
        axes=3,
        part_axis=np.arange(3),
        part_count=np.ones(3),
        part_groups=np.arange(3)[:, None],
        factors=WEIGHTS,
        term_axes=np.arange(3)[:, None],
        fixed=0.0,
    )


def problem(slopes: Mapping[str, float], *, floor: float = 1e-3) -> Problem:
    """Losses that grow with the share removed: ``slope * share``."""

    def line(size: int, slope: float):
        return lambda counts: slope * (1 - counts / size)

    return Problem(
        NAMES,
        SIZES,
        {name: np.arange(4, size + 1, 4) for name, size in zip(NAMES, SIZES, strict=True)},
        {name: line(size, slopes[name]) for name, size in zip(NAMES, SIZES, strict=True)},
        costs(),
        floor,
    )


def additive(slopes: Mapping[str, float]):
    """A measurement that is what the curves predict."""
    sizes = dict(zip(NAMES, SIZES.tolist(), strict=True))
    return lambda counts: sum(slopes[n] * (1 - k / sizes[n]) for n, k in counts.items())


SLOPES = {"a": 1.0, "b": 10.0, "c": 2.0}


def test_the_bound_is_kept_and_filled() -> None:
    found = search(problem(SLOPES), additive(SLOPES), 2.0)
    assert found.best is not None
    assert found.best.loss <= 2.0
    assert found.best.predicted == pytest.approx(found.best.loss)
    # the best there is: all combinations of counts
    counts = np.array(np.meshgrid(*[np.arange(4, s + 1, 4) for s in SIZES])).reshape(3, -1).T
    losses = (np.array(list(SLOPES.values())) * (1 - counts / SIZES)).sum(axis=1)
    best = (counts / SIZES @ WEIGHTS)[losses <= 2.0].min()
    assert found.best.cost <= best * 1.03


def test_what_saves_most_for_its_loss_goes_first() -> None:
    found = search(problem(SLOPES), additive(SLOPES), 1.0)
    assert found.best is not None
    assert found.best.counts["b"] == 32
    assert found.best.counts["c"] < 64


def test_one_group_that_breaks_the_bound_does_not_stop_the_others() -> None:
    """Its curve says that c costs nothing, but it costs a hundred."""
    wrong = {"a": 1.0, "b": 1.0, "c": 0.0}
    true = {"a": 1.0, "b": 1.0, "c": 100.0}
    found = search(problem(wrong), additive(true), 1.5)
    assert found.best is not None
    assert found.best.loss <= 1.5
    assert found.best.counts["c"] == 64
    assert found.best.counts["a"] < 16
    assert found.best.counts["b"] < 32


def test_losses_that_do_not_add_up_are_measured() -> None:
    """Two groups together cost far more than each alone."""
    single = additive(SLOPES)

    def together(counts):
        cut = sum(k < size for k, size in zip(counts.values(), SIZES.tolist(), strict=True))
        return single(counts) * (5 if cut > 1 else 1)

    found = search(problem(SLOPES), together, 1.0)
    assert found.best is not None
    assert found.best.loss == together(found.best.counts) <= 1.0


def test_nothing_within_the_bound() -> None:
    found = search(problem(SLOPES), lambda counts: 50.0, 1.0)
    assert found.best is None
    assert len(found.trials) > 3


def test_everything_within_the_bound() -> None:
    found = search(problem(SLOPES), lambda counts: 0.0, 1.0)
    assert found.best is not None
    assert list(found.best.counts.values()) == [4, 4, 4]


@pytest.mark.parametrize("most", [1, 3, 10])
def test_so_many_plans_are_measured_at_most(most: int) -> None:
    calls = []
    search(problem(SLOPES), lambda counts: calls.append(counts) or 0.9, 1.0, trials=most)
    assert len(calls) <= most


def test_equal_questions_have_equal_answers() -> None:
    first, second = (search(problem(SLOPES), additive(SLOPES), 2.0) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("count", [1, 2, 16, 17, 500])
def test_long_lists_of_counts_are_thinned(count: int) -> None:
    choices = np.arange(1, count + 1)
    few = thinned(choices)
    assert len(few) <= MOST_CHOICES
    assert (few[0], few[-1]) == (1, count)
    assert (np.diff(few) > 0).all()


def row(*points: tuple[int, float]) -> Row:
    def point(kept: int, loss: float) -> Point:
        return Point(1 - kept / 16, kept, 1.0, {"accuracy": Figure(1 - loss / 100, 0.0, 1.0)})

    return Row("a", ("a",), "", 16, 1.0, tuple(point(*own) for own in points))


CURVES = {
    "between points": (((12, 2.0), (8, 6.0)), (16, 14, 12, 10, 8), (0, 1, 2, 4, 6)),
    "beyond the last point it stays": (((8, 6.0),), (8, 4), (6, 6)),
    "noise does not make it fall": (((12, 2.0), (8, 1.0), (4, 5.0)), (12, 8, 6, 4), (2, 2, 3.5, 5)),
    "below zero is nothing": (((12, -1.0), (8, 4.0)), (12, 8), (0, 4)),
    "no points": ((), (16, 4), (0, 0)),
}


@pytest.mark.parametrize("case", CURVES)
def test_curves(case: str) -> None:
    points, counts, losses = CURVES[case]
    own = curve(row(*points), lambda p: 100 * (1 - p.figures["accuracy"].value))
    assert own(np.array(counts)) == pytest.approx(np.array(losses, np.float64))
