"""Counts that were decided elsewhere, as a target and as bounds beside one."""

import numpy as np
import pytest
from handmade import chain, counts_of, predicted, scores_of

from onnxprune.errors import TargetError, UsageError
from onnxprune.plan import CountsTarget, PlanOptions, RatioTarget, make_plan, parse_macs


def plan_of(structure, target, *, align="off", **options):
    return make_plan(structure, scores_of(structure), PlanOptions(target, align=align, **options))


def test_counts_are_taken_as_they_are():
    structure = chain(20, 30, 40)
    plan = plan_of(structure, CountsTarget({"conv0": 7, "conv2": 39}))
    assert counts_of(structure, plan) == {"conv0": 7, "conv1": 30, "conv2": 39}
    assert plan.reasons == {"conv1": "the given counts leave it whole"}
    for name, kept in plan.kept.items():
        gone = np.delete(scores_of(structure)[name], kept)
        assert gone.max() <= scores_of(structure)[name][kept].min()


def test_counts_are_aligned_and_whole_groups_stay_whole():
    structure = chain(64, 64, 64)
    plan = plan_of(structure, CountsTarget({"conv0": 40, "conv2": 25}, reason="it is sensitive"), align=16)
    counts = counts_of(structure, plan)
    assert counts["conv1"] == 64
    assert plan.reasons["conv1"] == "it is sensitive"
    assert {counts["conv0"] % 16, counts["conv2"] % 16} == {0}
    assert plan.totals["macs"] == pytest.approx(plan.unaligned["macs"], rel=0.25)


def test_what_the_user_says_of_a_layer_beats_the_counts():
    structure = chain(20, 20, 20)
    target = CountsTarget({"conv0": 5, "conv1": 5, "conv2": 5})
    plan = plan_of(structure, target, exclude=("conv0",), layer_ratios=(("conv1", 0.5),))
    assert counts_of(structure, plan) == {"conv0": 20, "conv1": 10, "conv2": 5}


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"conv0": 0}, "0 units cannot stay of 'conv0': it has 20 units"),
        ({"conv0": 21}, "21 units cannot stay of 'conv0'"),
        ({"other": 3}, "'other': it is no group of this model"),
    ],
)
def test_counts_that_do_not_fit_are_refused(counts, said):
    with pytest.raises(UsageError, match=said):
        plan_of(chain(20), CountsTarget(counts))


@pytest.mark.parametrize("scope", ["local", "global"])
def test_a_ratio_fills_up_what_bounds_have_not_taken(scope):
    structure = chain(20, 20)
    plan = plan_of(structure, RatioTarget(0.4), most={"conv0": 6}, scope=scope)
    counts = counts_of(structure, plan)
    assert counts["conv0"] == 6
    assert counts["conv1"] == (12 if scope == "local" else counts["conv1"])
    assert sum(counts.values()) <= 24


def test_a_budget_counts_what_bounds_take():
    structure = chain(20, 20, 20)
    full = predicted(structure, {"conv0": 20, "conv1": 20, "conv2": 20})["macs"]
    bounds = {"conv0": 4, "conv1": 4}
    met = plan_of(structure, parse_macs("0.9x"), most=bounds)
    assert counts_of(structure, met) == {"conv0": 4, "conv1": 4, "conv2": 20}
    more = plan_of(structure, parse_macs("0.05x"), most=bounds)
    assert counts_of(structure, more)["conv2"] < 20
    assert more.totals["macs"] <= 0.05 * full
    with pytest.raises(TargetError):
        plan_of(structure, parse_macs("0.0001x"), most=bounds)


def test_a_budget_that_bounds_have_met_is_not_filled_up_again():
    structure = chain(64, 64, steps=(1,))
    plan = plan_of(structure, parse_macs("0.95x"), most={"conv0": 30, "conv1": 30}, align=16)
    assert 0.5 * plan.unaligned["macs"] < plan.totals["macs"] <= plan.unaligned["macs"]
    assert all(count % 16 == 0 for count in counts_of(structure, plan).values())
