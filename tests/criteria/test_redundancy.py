"""Criteria of redundancy against implementations that follow the papers by plain loops."""

import numpy as np
import pytest
from weighted import along, constants_of, group_of, structure_of

from onnxprune.calibration import Evidence
from onnxprune.calibration.statistics import Covariance
from onnxprune.criteria import criterion, score_groups
from onnxprune.criteria.agglomeration import agglomerate
from onnxprune.errors import UsageError


def weight(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def scores_of(spec, groups, arrays, **options):
    return score_groups(structure_of(*groups), constants_of(**arrays), criterion(spec), **options)


def conv(size=12, *rest, seed=0):
    array = weight(size, *(rest or (5, 3, 3)), seed=seed)
    return group_of("g", size, along("w", 0, size)), array


# agglomeration


def walked(distances, importance, farthest):
    """The closest of all pairs loses its lesser unit, looked for anew each time."""
    left = list(range(len(distances)))
    scores = np.full(len(distances), farthest)
    while len(left) > 1:
        pairs = [(distances[i, j], i, j) for i in left for j in left if i < j]
        distance, i, j = min(pairs)
        gone = i if importance[i] < importance[j] else j
        scores[gone] = distance
        left.remove(gone)
    return scores


@pytest.mark.parametrize("size", [1, 2, 3, 17])
@pytest.mark.parametrize("seed", range(4))
def test_the_closest_pair_loses_its_lesser_unit_again_and_again(size, seed):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((size, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    importance = rng.integers(0, 4, size).astype(float)
    alive = np.ones(size, dtype=bool)
    found = agglomerate(distances, importance, alive, farthest=9.0)
    assert found.tolist() == walked(distances, importance, 9.0).tolist()


@pytest.mark.parametrize("bound", [0.2, 0.5, 1.0])
def test_what_a_threshold_leaves_has_no_two_units_closer_than_it(bound):
    rng = np.random.default_rng(0)
    points = rng.random((40, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    scores = agglomerate(distances, rng.random(40), np.ones(40, dtype=bool), farthest=9.0)
    kept = np.flatnonzero(scores >= bound)
    apart = distances[np.ix_(kept, kept)] + 9 * np.eye(len(kept))
    assert apart.min() >= bound
    assert all(distances[unit, kept].min() < bound or scores[unit] < bound for unit in range(40))


def test_units_that_are_gone_are_not_looked_at_and_unknown_distances_are_the_farthest():
    distances = np.array([[0.0, 0.1, np.nan], [0.1, 0.0, 0.5], [np.nan, 0.5, 0.0]])
    found = agglomerate(distances, np.ones(3), np.array([True, False, True]), farthest=2.0)
    assert found.tolist() == [2.0, 0.0, 2.0]


# geometric median


@pytest.mark.parametrize("seed", range(3))
def test_geometric_median_sums_the_distances_to_the_other_filters(seed):
    group, array = conv(seed=seed)
    expected = [sum(np.sqrt(((a - b) ** 2).sum()) for b in array.astype(float)) for a in array.astype(float)]
    found = scores_of("geometric_median", [group], {"w": array})["g"]
    assert found == pytest.approx(expected, rel=1e-5)


def test_geometric_median_compares_units_of_several_indices_by_all_of_them():
    array = weight(8, 3)
    units = [0, 1, 2, 3, 0, 1, 2, 3]
    rows = np.concatenate([array[:4], array[4:]], axis=1)
    expected = [sum(np.linalg.norm(a - b) for b in rows) for a in rows]
    found = scores_of("geometric_median", [group_of("g", 4, along("w", 0, units))], {"w": array})["g"]
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("reduction", "combine"), [("mean", np.mean), ("max", np.max), ("sum", np.sum)])
def test_geometric_median_is_reduced_over_the_layers_that_share_the_units(reduction, combine):
    arrays = {"a": weight(6, 4), "b": weight(3, 6, seed=1)}
    group = group_of("g", 6, along("a", 0, 6), along("b", 1, 6))
    rows = [
        [sum(np.linalg.norm(a - b) for b in matrix) for a in matrix]
        for matrix in (arrays["a"], arrays["b"].T)
    ]
    found = scores_of(f"geometric_median,reduction={reduction}", [group], arrays)["g"]
    assert found == pytest.approx(combine(rows, axis=0), rel=1e-5)


def test_geometric_median_measures_distances_to_what_is_left():
    group, array = conv()
    alive = np.arange(12) % 3 > 0
    flat = array.reshape(12, -1).astype(float)
    expected = [sum(np.linalg.norm(a - b) for b in flat[alive]) for a in flat]
    found = scores_of("geometric_median", [group], {"w": array}, alive={"g": alive})["g"]
    assert found == pytest.approx(expected, rel=1e-5)


# cosine


def prototype(filter):
    """As in the authors' code: the first column of the rank-1 approximation, of length 1."""
    matrix = filter.reshape(len(filter), -1).T.astype(float)
    u, _, v = np.linalg.svd(matrix)
    column = np.outer(u[:, 0], v[0])[:, 0]
    return column / np.linalg.norm(column)


def cosine_distances(vectors):
    size = len(vectors)
    found = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            lengths = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
            found[i, j] = 1 - vectors[i] @ vectors[j] / lengths
    return found


def passive_selection(distances):
    """The authors' loop over the filters by the distance to the closest one: those that are kept."""
    size = len(distances)
    own = distances + 9 * np.eye(size)
    pairs = sorted((own[i].min(), i, int(own[i].argmin())) for i in range(size))
    kept, named = [], []
    for _, i, closest in pairs:
        if i not in named:
            kept.append(i)
            named.append(closest)
    return kept


@pytest.mark.parametrize("shape", [(16, 1, 7, 7), (16, 16, 7, 7), (24, 8, 3, 3), (10, 4, 5)])
def test_cosine_takes_the_distances_of_rank_one_prototypes(shape):
    group, array = conv(*shape)
    distances = cosine_distances(np.array([prototype(f) for f in array]))
    norms = np.abs(array.reshape(len(array), -1).astype(float)).sum(axis=1)
    found = scores_of("cosine", [group], {"w": array})["g"]
    assert found == pytest.approx(walked(distances, norms, 2.0), abs=1e-6)


@pytest.mark.parametrize("spec", ["cosine", "cosine,prototype=filter"])
def test_filters_of_one_point_are_compared_as_they_are(spec):
    group, array = conv(9, 6, 1, 1)
    flat = array.reshape(9, 6).astype(float)
    expected = walked(cosine_distances(flat), np.abs(flat).sum(axis=1), 2.0)
    assert scores_of(spec, [group], {"w": array})["g"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_the_own_rule_of_cosine_keeps_as_many_filters_as_the_authors_code(seed):
    group, array = conv(20, 6, 3, 3, seed=seed)
    distances = cosine_distances(np.array([prototype(f) for f in array]))
    kept = passive_selection(distances)
    surplus = scores_of("cosine", [group], {"w": array}, by_rule=True).surplus["g"]
    assert surplus.sum() == 20 - len(kept)
    closest = (distances + 9 * np.eye(20)).argmin(axis=1)
    norms = np.abs(array.reshape(20, -1)).sum(axis=1)
    for unit in np.flatnonzero(surplus):
        other = closest[unit]
        assert closest[other] == unit
        assert norms[unit] <= norms[other]
        assert len({unit, other} & set(kept)) == 1


def test_the_own_rule_of_cosine_counts_only_where_it_is_asked_for():
    group, array = conv()
    assert not scores_of("cosine", [group], {"w": array}).surplus
    bounded = scores_of("cosine:0.05", [group], {"w": array}, by_rule=True).surplus["g"]
    assert (bounded == (scores_of("cosine", [group], {"w": array})["g"] < 0.05)).all()


def test_filters_of_zeros_go_first_but_not_all_of_them():
    group, array = conv(6)
    array[[1, 4]] = 0
    found = scores_of("cosine", [group], {"w": array}, by_rule=True)
    assert set(np.argsort(found["g"], kind="stable")[:2]) == {1, 4}
    assert found.surplus["g"][[1, 4]].all()
    array[:] = 0
    assert scores_of("cosine", [group], {"w": array}, by_rule=True).surplus["g"].sum() == 5


def test_a_stream_is_alike_where_all_of_its_layers_are():
    arrays = {"a": weight(6, 4), "b": weight(6, 7, seed=1)}
    arrays["a"][1] = 2 * arrays["a"][0]
    arrays["b"][3], arrays["a"][3] = 2 * arrays["b"][2], 3 * arrays["a"][2]
    group = group_of("g", 6, along("a", 0, 6), along("b", 0, 6))
    mean = (cosine_distances(arrays["a"].astype(float)) + cosine_distances(arrays["b"].astype(float))) / 2
    norms = sum(np.abs(a.astype(float)).sum(axis=1) for a in arrays.values())
    found = scores_of("cosine", [group], arrays)["g"]
    assert found == pytest.approx(walked(mean, norms, 2.0), abs=1e-6)
    assert found.argmin() == 2


def test_an_unknown_prototype_is_named():
    group, array = conv()
    with pytest.raises(UsageError, match="prototype 'rank2'"):
        scores_of("cosine,prototype=rank2", [group], {"w": array})


# correlation


def measured(*covariances):
    return Evidence({Covariance(): lambda _: tuple(np.asarray(c, float) for c in covariances)}, 8, "by hand")


def activations(size=7, seed=0, samples=400):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, 3)) @ rng.standard_normal((3, size)) + rng.standard_normal(
        (samples, size)
    )


@pytest.mark.parametrize("seed", range(3))
def test_correlation_is_pearsons(seed):
    group, array = conv(7)
    values = activations(seed=seed)
    r = np.array([[abs(np.corrcoef(values[:, i], values[:, j])[0, 1]) for i in range(7)] for j in range(7)])
    expected = walked(1 - r, values.var(axis=0), 1.0)
    evidence = measured(np.cov(values.T, bias=True))
    found = scores_of("correlation", [group], {"w": array}, evidence=evidence)["g"]
    assert found == pytest.approx(expected, abs=1e-9)


def test_a_threshold_on_correlation_leaves_none_above_it():
    group, array = conv(30)
    values = activations(30)
    evidence = measured(np.cov(values.T, bias=True))
    surplus = scores_of("correlation:0.6", [group], {"w": array}, evidence=evidence).surplus["g"]
    r = np.abs(np.corrcoef(values.T))
    left = r[np.ix_(~surplus, ~surplus)] - np.eye((~surplus).sum())
    assert 0 < surplus.sum() < 29
    assert left.max() <= 0.6
    assert (r[np.ix_(surplus, ~surplus)].max(axis=1) > 0.3).all()


def test_the_channel_of_lower_variance_goes_and_a_constant_one_first():
    group, array = conv(4)
    values = activations(4)
    values[:, 2] = 3 * values[:, 0] + 1
    values[:, 3] = 5
    found = scores_of("correlation", [group], {"w": array}, evidence=measured(np.cov(values.T, bias=True)))[
        "g"
    ]
    assert found[3] == 0
    assert found[0] == pytest.approx(0, abs=1e-9)
    assert found[2] > found[0]


def test_correlations_of_a_stream_are_averaged_over_its_values():
    group, array = conv(3)
    first = np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.0], [0.1, 0.0, 1.0]])
    second = np.array([[4.0, 0.4 * 4, np.nan], [0.4 * 4, 4.0, np.nan], [np.nan, np.nan, np.nan]])
    found = scores_of("correlation", [group], {"w": array}, evidence=measured(first, second))["g"]
    assert sorted(found) == pytest.approx([1 - (0.8 + 0.4) / 2, 1 - 0.1, 1.0])


@pytest.mark.parametrize("text", ["correlation:1.5", "correlation:-0.1"])
def test_what_is_no_correlation_is_refused(text):
    with pytest.raises(UsageError, match="no absolute correlation"):
        criterion(text)


# thresholds


def test_a_threshold_is_compared_with_scores_before_they_are_scaled():
    group, array = conv(4, 1, 1, 1)
    array[:, 0, 0, 0] = [1.0, -2.0, 3.0, 0.5]
    found = scores_of("l1:2,normalizer=max", [group], {"w": array})
    assert found.surplus["g"].tolist() == [True, False, False, True]
    assert found["g"].max() == 1.0


def test_a_threshold_of_a_criterion_that_has_none_is_an_error():
    with pytest.raises(UsageError, match="'random' has no threshold") as caught:
        criterion("random:0.3")
    assert "--criterion random --ratio" in caught.value.hint


@pytest.mark.parametrize(
    ("spec", "decides"), [("l1", False), ("l1:3", True), ("cosine", True), ("cosine:0.1", True)]
)
def test_a_criterion_says_whether_it_decides_by_itself(spec, decides):
    assert criterion(spec).decides is decides
    assert str(criterion(spec)) == spec
