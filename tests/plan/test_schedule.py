"""How counts go to the final ones."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from onnxprune.coupling.groups import Group, SizeModel, Structure
from onnxprune.plan.schedule import SCHEDULES, schedule_counts


def structure(**sizes: int) -> Structure:
    groups = tuple(Group(name, size, (), (name,)) for name, size in sizes.items())
    return Structure(groups, (), SizeModel((), (), (), ()))


GROUPS = structure(a=64, b=16, c=10, whole=8)
FINAL = {"a": 16, "b": 8, "c": 9, "whole": 8}


@pytest.mark.parametrize("way", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_counts_fall_to_the_final_ones(way: str, steps: int) -> None:
    found = schedule_counts(GROUPS, FINAL, steps, way)
    assert 1 <= len(found) <= steps
    assert {name: found[-1].get(name, 8) for name in FINAL} == FINAL
    for before, after in pairwise(found):
        assert all(after[name] <= before[name] for name in after)
        assert any(after[name] < before[name] for name in after)


def test_linear_steps_remove_equally_many() -> None:
    found = schedule_counts(GROUPS, FINAL, 4, "linear")
    assert [counts["a"] for counts in found] == [52, 40, 28, 16]


def test_geometric_steps_remove_equal_shares() -> None:
    found = schedule_counts(GROUPS, FINAL, 2, "geometric")
    assert [counts["a"] for counts in found] == [32, 16]
    assert np.isclose(found[0]["b"] / 16, 0.5**0.5, atol=0.05)


def test_layers_take_turns() -> None:
    found = schedule_counts(GROUPS, FINAL, None, "layerwise")
    assert [(counts["a"], counts["b"], counts["c"]) for counts in found] == [
        (16, 16, 10),
        (16, 8, 10),
        (16, 8, 9),
    ]
    assert schedule_counts(GROUPS, FINAL, 2, "layerwise")[0] == {"a": 16, "b": 8, "c": 10}


def test_steps_without_anything_to_remove_are_left_out() -> None:
    assert len(schedule_counts(structure(a=4), {"a": 2}, 10, "linear")) == 2
    assert schedule_counts(structure(a=4), {"a": 4}, 5, "linear") == [{"a": 4}]
