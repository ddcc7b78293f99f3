"""Which is returned, the best epoch or the start, and by which samples that is decided."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("torch")

from torch import nn, tensor

from onnxprune.training.result import Epoch
from onnxprune.training.verdict import judge

pytestmark = pytest.mark.frontends

METRIC = "accuracy"


class ByWeight:
    """Measures a module as its only weight says."""

    metric = METRIC

    def __call__(self, module: nn.Module) -> tuple[float, float]:
        weight = float(module.weight.detach())
        return weight, 1 - weight


def epochs(*metrics: float) -> Sequence[Epoch]:
    return [Epoch(number, number, 0.1, 1.0, metric, 1 - metric, 1.0) for number, metric in enumerate(metrics)]


def weights(*values: float) -> list[dict[str, object]]:
    return [{"weight": tensor([[value]])} for value in values]


CASES = {
    # held-back metrics of start and epochs; the same on samples trained on; given apart; what is returned
    "an epoch is better": ((0.5, 0.7), (0.9, 0.1), False, 1),
    "better on none": ((0.9, 0.7), (0.9, 0.7), False, 0),
    "better on what is trained on": ((0.98, 0.93), (0.97, 0.99), False, 1),
    "the user's own samples decide": ((0.98, 0.93), (0.97, 0.99), True, 0),
    "no better than the start": ((0.9, 0.9), (0.9, 0.9), True, 0),
}


@pytest.mark.parametrize("case", CASES)
def test_the_verdict(case: str) -> None:
    held, seen, own, expected = CASES[case]
    module = nn.Linear(1, 1, bias=False)
    start, best = weights(*seen)
    verdict = judge(epochs(*held), 1, (start, best), module, None if own else ByWeight())
    assert verdict.best == expected
    told = held[1] <= held[0]
    assert bool(verdict.note) == told
    if told and expected:
        assert "98.00 %" in verdict.note
        assert "--validation-data" in verdict.note


def test_a_training_without_a_good_epoch() -> None:
    verdict = judge(epochs(0.5, float("nan")), 0, ({}, {}), nn.Linear(1, 1), None)
    assert verdict.best == 0
    assert "as it was" in verdict.note
