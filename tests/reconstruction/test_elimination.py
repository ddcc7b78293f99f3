"""Greedy elimination, against losses by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.reconstruction.elimination import Reader, eliminate


def rng(seed=0):
    return np.random.default_rng(seed)


def inputs_of(columns, seed, rows=400):
    """Correlated columns, well conditioned."""
    mixed = np.eye(columns) + 0.5 * rng(seed + 100).standard_normal((columns, columns)) / columns**0.5
    return rng(seed).standard_normal((rows, columns)) @ mixed


def reader(units, seed=0, channels=5, price=1.0):
    x = inputs_of(len(units), seed)
    weight = rng(seed + 50).standard_normal((len(units), channels))
    return x, Reader(x.T @ x / len(x), weight, np.array(units), price)


def refit_loss(x, own, gone):
    """Mean squared error over rows, summed over outputs, when units go and the other columns are refitted."""
    keep = ~np.isin(own.units, list(gone))
    target = x @ own.weight
    if not keep.any():
        return own.price * float((target**2).sum()) / len(x)
    found = np.linalg.lstsq(x[:, keep], target, rcond=None)[0]
    return own.price * float(((target - x[:, keep] @ found) ** 2).sum()) / len(x)


LAYOUTS = {
    "a column each": list(range(8)),
    "three columns each": np.repeat(np.arange(5), 3).tolist(),
    "as convolutions have them": np.tile(np.arange(5), 4).tolist(),
    "unequal": [0, 0, 0, 1, 2, 2, 3, 3, 3, 3, 4],
    "of other groups too": [0, -1, 1, 1, -1, 2, 3, -1, 0],
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_units_go_in_the_order_of_the_least_refit_loss(layout, seed):
    x, own = reader(LAYOUTS[layout], seed)
    size = max(LAYOUTS[layout]) + 1
    losses = eliminate([[own]], size)
    gone: list[int] = []
    before = 0.0
    for unit in np.argsort(losses)[:-1]:
        left = [u for u in range(size) if u not in gone]
        each = {u: refit_loss(x, own, [*gone, u]) for u in left}
        assert unit == min(each, key=lambda u: each[u])
        # what this one costs on top of those before it
        step = each[unit] - before
        assert losses[unit] == pytest.approx(step, rel=0.05) or losses[unit] > step
        gone.append(int(unit))
        before = each[unit]


def test_losses_rise_strictly_and_are_positive():
    x, own = reader(list(range(200)))
    assert len(x) == 400
    losses = eliminate([[own]], 200)
    ordered = np.sort(losses)
    assert (ordered > 0).all()
    assert (np.diff(ordered) > 0).all()


def test_a_unit_that_is_a_mixture_of_others_costs_next_to_nothing():
    x = inputs_of(6, 0)
    x[:, 4] = x[:, 0] - 2 * x[:, 1]
    weight = np.ones((6, 3))
    weight[4] = 100
    losses = eliminate([[Reader(x.T @ x / len(x), weight, np.arange(6), 1.0)]], 6)
    loud = np.argsort(losses)[0]
    assert loud in (0, 1, 4)  # one of the three that depend on each other
    assert losses[loud] < 0.02 * np.sort(losses)[1]


def test_a_unit_that_nobody_reads_goes_first():
    units = [0, 0, 1, 3, 3]
    _, own = reader(units)
    losses = eliminate([[own]], 4)
    assert np.argmin(losses) == 2
    assert losses[2] < 1e-100


def test_products_of_one_layer_add_up():
    (x, one), (y, two) = reader(list(range(6)), 0, price=2.0), reader(list(range(6)), 1)
    losses = eliminate([[one, two]], 6)
    first = {u: refit_loss(x, one, [u]) + refit_loss(y, two, [u]) for u in range(6)}
    assert np.argmin(losses) == min(first, key=lambda u: first[u])
    assert losses.min() == pytest.approx(min(first.values()), rel=0.01)


def test_amplitudes_of_several_layers_add_up():
    (x, one), (y, two) = reader(list(range(6)), 0, price=2.0), reader(list(range(6)), 1)
    losses = eliminate([[one], [two]], 6)
    first = {u: (refit_loss(x, one, [u]) ** 0.5 + refit_loss(y, two, [u]) ** 0.5) ** 2 for u in range(6)}
    assert np.argmin(losses) == min(first, key=lambda u: first[u])
    assert losses.min() == pytest.approx(min(first.values()), rel=0.01)


def test_the_price_scales_losses_and_nothing_else():
    _, cheap = reader(list(range(7)), price=1.0)
    _, dear = reader(list(range(7)), price=10.0)
    assert eliminate([[dear]], 7) == pytest.approx(10 * eliminate([[cheap]], 7), rel=1e-6)


@pytest.mark.parametrize("size", [1, 2, 130])
def test_every_size_gets_a_loss_each(size):
    _, own = reader(list(range(size)))
    losses = eliminate([[own]], size)
    assert losses.shape == (size,)
    assert len(np.unique(losses)) == size


def test_silent_inputs_are_no_obstacle():
    own = Reader(np.zeros((4, 4)), np.ones((4, 2)), np.arange(4), 1.0)
    assert np.isfinite(eliminate([[own]], 4)).all()
