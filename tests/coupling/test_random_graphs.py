"""Random networks, random groups, random channels: the pruned model equals the masked source.

``ONNXPRUNE_GRAPHS`` sets how many graphs are drawn (200), ``ONNXPRUNE_FIRST`` the first seed (0).
"""

from __future__ import annotations

import os

import numpy as np
import oracle
import pytest
from pruning import prune_randomly
from strategies import random_graph

PITFALLS = (274, 1911)  # units of one group that depend on each other, an axis that they may empty
FIRST = int(os.environ.get("ONNXPRUNE_FIRST", "0"))
SEEDS = tuple(
    dict.fromkeys([*range(FIRST, FIRST + int(os.environ.get("ONNXPRUNE_GRAPHS", "200"))), *PITFALLS])
)
RATIOS = (0.25, 0.4, 0.4, 0.6, 0.9)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_graph(seed: int) -> None:
    model = random_graph(seed)
    share = 1.0 if seed % 3 else 0.6
    pruned = prune_randomly(model, RATIOS[seed % len(RATIOS)], seed, share)
    oracle.check(model, pruned.proto, pruned.cuts)


def test_most_graphs_lose_much() -> None:
    """Pinning everything would satisfy the test above; this one it would not."""
    lost = []
    for seed in range(60):
        model = random_graph(seed)
        pruned = prune_randomly(model, 0.4, seed)
        lost.append(1 - oracle.parameters(pruned.proto) / oracle.parameters(model))
    assert np.median(lost) > 0.5
    assert np.quantile(lost, 0.05) > 0.2


def test_a_pruned_graph_can_be_pruned_again() -> None:
    for seed in range(20):
        first = prune_randomly(random_graph(seed), 0.3, seed).proto
        second = prune_randomly(first, 0.3, seed + 1)
        oracle.check(first, second.proto, second.cuts)


def test_the_same_choice_gives_the_same_bytes() -> None:
    for seed in range(10):
        one, two = (prune_randomly(random_graph(seed), 0.4, seed) for _ in range(2))
        assert one.proto.SerializeToString(deterministic=True) == two.proto.SerializeToString(
            deterministic=True
        )
        assert one.cuts == two.cuts


def test_keeping_everything_changes_nothing() -> None:
    for seed in range(10):
        model = random_graph(seed)
        pruned = prune_randomly(model, 0.0, seed)
        assert not pruned.cuts
        oracle.check(model, pruned.proto, {}, tolerance=1e-5, expect_cut=False)
