"""The knapsack against all combinations, on problems small enough to try them."""

from itertools import product

import numpy as np
import pytest

from onnxprune.plan.knapsack import MOST_CHOICES, Knapsack, items, kept_share, loss_items, thinned


def chain(seed, groups=4):
    """Layers in a row, each as dear as the product of its ends; widths in steps of four."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 5, groups) * 4
    choices = [np.arange(4, size + 1, 4) for size in sizes]
    prices = rng.uniform(1, 5, groups + 1)

    def cost(plans):
        ends = np.concatenate([np.full((len(plans), 1), 3), plans, np.full((len(plans), 1), 10)], axis=1)
        return (prices * ends[:, :-1] * ends[:, 1:]).sum(axis=1)

    scores = [rng.gamma(2.0, size=size) for size in sizes]
    return choices, scores, cost


def value(scores, counts):
    return sum(np.log(kept_share(own)[n - 1]) for own, n in zip(scores, counts, strict=True))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [0.8, 0.5, 0.3])
def test_little_is_lost_against_the_best_of_all_combinations(seed, share):
    choices, scores, cost = chain(seed)
    everything = np.array(list(product(*choices)))
    costs = cost(everything)
    budget = share * costs.max()
    sack = Knapsack(items(choices, scores, np.ones(len(choices)), cost))
    found = sack.counts(budget)
    assert cost(found[None, :])[0] <= budget
    best = max(value(scores, counts) for counts in everything[costs <= budget])
    assert value(scores, found) >= best - 0.15


def test_more_budget_never_keeps_less():
    choices, scores, cost = chain(1, groups=6)
    sack = Knapsack(items(choices, scores, np.ones(6), cost))
    whole = cost(np.array([[own[-1] for own in choices]]))[0]
    kept = [value(scores, sack.counts(share * whole)) for share in (0.3, 0.5, 0.7, 0.9, 1.0)]
    assert kept == sorted(kept)
    assert sack.counts(whole).tolist() == [own[-1] for own in choices]


def test_a_budget_out_of_reach_gives_the_cheapest_plan():
    choices, scores, cost = chain(2)
    sack = Knapsack(items(choices, scores, np.ones(4), cost))
    assert sack.counts(0.0).tolist() == [own[0] for own in choices]
    assert sack.smallest == cost(np.array([[own[0] for own in choices]]))[0]


def test_a_staircase_is_walked_down_by_whole_steps():
    """Between two multiples of 16 nothing is saved, so nothing is given away there."""

    def cost(plans):
        return (np.ceil(plans / 16) * 16).sum(axis=1).astype(float)

    choices = [np.arange(4, 65, 4)] * 2
    sack = Knapsack(items(choices, [np.ones(64), np.ones(64)], np.ones(2), cost))
    for budget in (96, 64):
        assert sack.counts(float(budget)).tolist() == [budget // 2, budget // 2]


def test_axes_of_several_groups_are_cut_together():
    """Half of either group saves no block of their common axis; half of both does."""

    def cost(plans):
        return np.ceil(plans[:, :2].sum(axis=1) / 16) * 100 + plans[:, 2]

    sack = Knapsack(items([np.array([8, 16])] * 2 + [np.array([1, 16])], [np.ones(16)] * 3, np.ones(3), cost))
    assert sack.counts(116.0).tolist() == [8, 8, 16]


def test_heavy_groups_keep_more():
    def cost(plans):
        return plans.sum(axis=1).astype(float)

    choices = [np.arange(4, 33, 4)] * 2
    light, heavy = Knapsack(items(choices, [np.ones(32)] * 2, np.array([1.0, 3.0]), cost)).counts(40.0)
    assert light < heavy


def test_losses_are_added_up():
    def cost(plans):
        return plans.sum(axis=1).astype(float)

    losses = [np.full(8, 1.0), np.full(8, 0.01)]
    sack = Knapsack(loss_items([np.arange(1, 9)] * 2, losses, cost))
    assert sack.counts(9.0).tolist() == [8, 1]


def test_shares_are_of_the_best_units():
    assert kept_share(np.array([1.0, 3.0, -5.0])).tolist() == pytest.approx([0.75, 1.0, 1.0], abs=1e-5)
    assert kept_share(np.zeros(4)).tolist() == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_long_lists_keep_their_ends():
    few = thinned(np.arange(1, 4097))
    assert len(few) <= MOST_CHOICES
    assert (few[0], few[-1]) == (1, 4096)
