"""The property of ``test_random_graphs`` on seeds that no quick run reaches, at every ratio."""

from __future__ import annotations

import oracle
import pytest
from pruning import prune_randomly
from strategies import random_graph

FIRST = 100_000
PER_TEST = 50
"""Graphs a test: with one each, pytest would spend longer on bookkeeping than on pruning."""
RATIOS = (0.1, 0.25, 0.4, 0.5, 0.75, 0.9)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FIRST, FIRST + 3000, PER_TEST))
def test_random_graphs(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        model = random_graph(seed)
        pruned = prune_randomly(model, RATIOS[seed % len(RATIOS)], seed, share=1.0 if seed % 3 else 0.6)
        try:
            oracle.check(model, pruned.proto, pruned.cuts)
        except AssertionError as failure:
            pytest.fail(f"seed {seed}: {failure}")
