import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weighted import along, constants_of, group_of, loop_norms, structure_of

from onnxprune.criteria import criterion, score_groups

NORM_NAMES = ("l1", "l2", "linf")


def scores(name, group, **arrays):
    return score_groups(structure_of(group), constants_of(**arrays), criterion(name))[group.name]


@pytest.mark.parametrize("name", NORM_NAMES)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    axis=st.integers(0, 3),
    units=st.integers(1, 4),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_a_norm_is_that_of_all_weights_of_a_unit(name, shape, axis, units, seed):
    rng = np.random.default_rng(seed)
    axis %= len(shape)
    array = rng.standard_normal(shape).astype(np.float32)
    owners = rng.integers(-1, units, shape[axis])
    group = group_of("g", units, along("w", axis, owners))
    np.testing.assert_allclose(
        scores(name, group, w=array), loop_norms(array, axis, owners, units, name), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("name", NORM_NAMES)
@pytest.mark.parametrize("axis", [0, 1])
def test_large_weights_are_read_in_blocks_without_a_change(name, axis):
    rng = np.random.default_rng(0)
    array = rng.standard_normal((700, 900)).astype(np.float32)
    size = array.shape[axis]
    group = group_of("g", size, along("w", axis, size))
    found = scores(name, group, w=array)
    moved = np.moveaxis(array, axis, 0).astype(np.float64)
    wanted = {"l1": abs(moved).sum(1), "l2": (moved**2).sum(1) ** 0.5, "linf": abs(moved).max(1)}[name]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("name", NORM_NAMES)
@pytest.mark.parametrize(
    "dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.int8, np.uint8, np.int64, bool]
)
def test_every_element_type_is_scored_by_its_numbers(name, dtype):
    array = np.array([[-128, 3], [2, 1], [0, 0]]).astype(np.int8).astype(dtype)
    group = group_of("g", 3, along("w", 0, 3))
    plain = array.astype(np.float64)
    np.testing.assert_allclose(
        scores(name, group, w=array), loop_norms(plain, 0, range(3), 3, name), rtol=1e-6
    )


@pytest.mark.parametrize("name", [*NORM_NAMES, "lamp", "bn_scale", "random"])
@pytest.mark.parametrize(
    ("array", "units"),
    [
        (np.zeros((4, 0, 3), np.float32), 4),
        (np.zeros((0, 4), np.float32), 0),
        (np.zeros((4,), np.float32), 4),
        (np.full((4, 2), np.nan, np.float32), 4),
        (np.full((4, 2), np.inf, np.float32), 4),
        (np.full((4, 2), 3e38, np.float32), 4),
        (np.full((4, 2), 1e-42, np.float32), 4),
        (np.array(["a", "b", "c", "d"], dtype=object), 4),
        (np.array([1 + 2j, 3j, 0, 1], dtype=np.complex64), 4),
    ],
)
@pytest.mark.parametrize("normalizer", ["none", "mean", "max", "sum", "standardize", "gaussian"])
def test_unusual_constants_never_fail(name, array, units, normalizer):
    group = group_of("g", units, along("w", 0, units))
    chosen = criterion(name, normalizer=normalizer)
    found = score_groups(structure_of(group), constants_of(w=array), chosen)["g"]
    assert found.shape == (units,)
    assert np.isfinite(found).all()


def test_a_filter_with_a_weight_that_is_no_number_is_the_least_important():
    array = np.array([[1, np.nan], [0.1, 0.1]], np.float32)
    assert np.argmin(scores("l1", group_of("g", 2, along("w", 0, 2)), w=array)) == 0


def test_a_unit_without_any_weight_scores_zero():
    group = group_of("g", 3, along("w", 0, [0, 0, 2, -1]))
    assert scores("l1", group, w=np.ones((4, 2), np.float32)).tolist() == [4.0, 0.0, 2.0]


def test_a_group_without_slices_scores_zero():
    assert scores("l2", group_of("g", 3), w=np.ones(3, np.float32)).tolist() == [0.0] * 3
