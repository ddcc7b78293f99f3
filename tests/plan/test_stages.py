"""Pipelines: thresholds cut first, the other criteria share what is missing to the target."""

import numpy as np
import pytest
from handmade import chain, counts_of, scores_of

from onnxprune.criteria import Scores
from onnxprune.plan import CountsTarget, PlanOptions, RatioTarget, Stage, kept_count, parse_macs, plan_stages

NOTHING_ELSE = CountsTarget(reason="the criterion lets none of it go")


def importance(scores, *, below=None, seen=None):
    """A stage that ranks by fixed scores; units below a number go by themselves."""

    def score(alive):
        if seen is not None:
            seen.append({name: mask.copy() for name, mask in alive.items()})
        surplus = {} if below is None else {n: alive[n] & (own < below) for n, own in scores.items()}
        return Scores(scores, surplus=surplus)

    return Stage(score, decides=below is not None)


def staged(structure, *stages, target=NOTHING_ELSE, align="off", **options):
    return plan_stages(structure, stages, PlanOptions(target, align=align, **options))


def stage_counts(found, name):
    own = found.removed_by[name]
    return [int((own == stage).sum()) for stage in range(own.max(initial=-1) + 1)]


def test_a_threshold_alone_says_how_many_go():
    structure = chain(10, 10)
    scores = {"conv0": np.arange(10.0), "conv1": np.arange(10.0) + 5}
    found = staged(structure, importance(scores, below=4))
    assert found.plan.kept["conv0"].tolist() == [4, 5, 6, 7, 8, 9]
    assert found.plan.reasons == {"conv1": "the criterion lets none of it go"}
    assert stage_counts(found, "conv0") == [4]
    assert (found.removed_by["conv1"] == -1).all()


def test_a_group_keeps_a_tenth_whatever_the_threshold():
    structure = chain(30, 4)
    scores = {"conv0": np.arange(30.0), "conv1": np.arange(4.0)}
    found = staged(structure, importance(scores, below=99))
    assert {name: kept.tolist() for name, kept in found.plan.kept.items()} == {
        "conv0": [27, 28, 29],
        "conv1": [3],
    }


def test_later_stages_see_only_what_is_left():
    structure = chain(10)
    seen = []
    first = {"conv0": np.arange(10.0)}
    second = {"conv0": np.arange(10.0)[::-1].copy()}
    found = staged(structure, importance(first, below=3), importance(second, below=2, seen=seen))
    assert [mask["conv0"].tolist() for mask in seen[:1]] == [[False] * 3 + [True] * 7]
    assert found.plan.kept["conv0"].tolist() == [3, 4, 5, 6, 7]
    assert stage_counts(found, "conv0") == [3, 2]
    assert found.removed_by["conv0"].tolist() == [0, 0, 0, -1, -1, -1, -1, -1, 1, 1]


@pytest.mark.parametrize("stages", [1, 2, 3])
@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_stages_without_thresholds_remove_equal_shares(stages, ratio):
    structure = chain(60, 30)
    scores = [scores_of(structure, seed) for seed in range(stages)]
    found = staged(structure, *map(importance, scores), target=RatioTarget(ratio))
    for group in structure.groups:
        removed = group.size - kept_count(group.size, ratio)
        shares = stage_counts(found, group.name)
        assert sum(shares) == removed
        assert max(shares) - min(shares) <= 1
        left = np.arange(group.size)
        for own, share in zip(scores, shares, strict=True):
            left = np.sort(left[np.argsort(own[group.name][left], kind="stable")[share:]])
        assert found.plan.kept[group.name].tolist() == left.tolist()


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("target", [RatioTarget(0.5), parse_macs("0.4x")])
def test_thresholds_cut_first_and_the_last_stage_fills_up(scope, target):
    structure = chain(40, 40)
    first, second = scores_of(structure, 1), scores_of(structure, 2)
    found = staged(structure, importance(first), importance(second, below=0.2), target=target, scope=scope)
    for name in ("conv0", "conv1"):
        below = np.flatnonzero(second[name] < 0.2)
        assert set(np.flatnonzero(found.removed_by[name] == 1)) == set(below)
        filled = np.flatnonzero(found.removed_by[name] == 0)
        kept = found.plan.kept[name]
        assert filled.size
        assert first[name][filled].max() < first[name][kept].min()
    if isinstance(target, RatioTarget):
        assert sum(counts_of(structure, found.plan).values()) == 40


def test_what_a_threshold_cut_is_not_given_back_to_a_ratio():
    structure = chain(20)
    scores = {"conv0": np.arange(20.0)}
    found = staged(structure, importance(scores, below=15), target=RatioTarget(0.2))
    assert len(found.plan.kept["conv0"]) == 5
    filled = staged(structure, importance(scores, below=2), target=RatioTarget(0.5))
    assert len(filled.plan.kept["conv0"]) == 10
    assert stage_counts(filled, "conv0") == [10]


def test_alignment_takes_and_gives_back_in_the_order_in_which_units_went():
    structure = chain(64, 64)
    scores = {name: np.arange(64.0) for name in ("conv0", "conv1")}
    turned = {name: own[::-1].copy() for name, own in scores.items()}
    plain = staged(structure, importance(scores, below=20), importance(turned, below=4))
    aligned = staged(structure, importance(scores, below=20), importance(turned, below=4), align=16)
    for name in scores:
        assert plain.plan.kept[name].tolist() == list(range(20, 60))
        kept = set(aligned.plan.kept[name].tolist())
        assert len(kept) in (32, 48)
        # first comes back what went last, so the last units of the second stage
        assert kept >= set(range(20, 60)) if len(kept) == 48 else kept < set(range(20, 60))
        assert (aligned.removed_by[name] >= 0).sum() == 64 - len(kept)


def test_excluded_layers_stay_whole_and_own_ratios_count():
    structure = chain(20, 20, 20)
    scores = {f"conv{k}": np.arange(20.0) for k in range(3)}
    found = staged(
        structure, importance(scores, below=15), exclude=("conv0",), layer_ratios=(("conv1", 0.5),)
    )
    assert counts_of(structure, found.plan) == {"conv0": 20, "conv1": 10, "conv2": 5}
    assert (found.removed_by["conv0"] == -1).all()


def test_scores_are_those_of_the_stage_that_decided():
    structure = chain(6)
    first, second = {"conv0": np.arange(6.0)}, {"conv0": np.arange(6.0) * 10}
    found = staged(structure, importance(first, below=2), importance(second), target=RatioTarget(0.5))
    assert found.scores["conv0"].tolist() == [0, 1, 20, 30, 40, 50]


def test_extreme_scores_keep_the_order():
    structure = chain(6)
    first = {"conv0": np.array([-1e100, 1e100, 0.0, 1.0, 2.0, 3.0])}
    second = {"conv0": np.array([0.0, 0.0, 1e100, -1e100, 5.0, 6.0])}
    found = staged(structure, importance(first, below=0), importance(second), target=RatioTarget(0.5))
    assert found.removed_by["conv0"].tolist() == [0, 1, -1, 1, -1, -1]
