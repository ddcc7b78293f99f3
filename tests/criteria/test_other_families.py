import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weighted import along, constants_of, group_of, loop_norms, structure_of

from onnxprune.coupling.groups import Role
from onnxprune.criteria import criterion, score_groups


def loop_lamp(squares):
    shares = []
    for own in squares:
        at_least = sum(other for other in squares if other >= own)
        shares.append(own / at_least if at_least else 0.0)
    return shares


@given(values=st.lists(st.integers(-3, 3), min_size=1, max_size=12), inside=st.integers(1, 3))
@settings(max_examples=80, deadline=None)
def test_lamp_is_the_share_among_the_units_that_are_at_least_as_large(values, inside):
    array = np.array(values, np.float32)[:, None].repeat(inside, axis=1)
    group = group_of("g", len(values), along("w", 0, len(values)))
    found = score_groups(structure_of(group), constants_of(w=array), criterion("lamp"))["g"]
    squares = loop_norms(array, 0, range(len(values)), len(values), "squares").tolist()
    np.testing.assert_allclose(found, loop_lamp(squares), rtol=1e-9)


def test_lamp_reduces_the_squares_of_several_layers_first():
    first, second = np.array([[1.0], [2.0]], np.float32), np.array([[3.0], [1.0]], np.float32)
    group = group_of("g", 2, along("a", 0, 2), along("b", 0, 2))
    constants = constants_of(a=first, b=second)
    found = score_groups(structure_of(group), constants, criterion("lamp", reduction="sum"))["g"]
    np.testing.assert_allclose(found, loop_lamp([10.0, 5.0]))


def test_bn_scale_reads_the_scales_and_not_the_filters():
    group = group_of(
        "g",
        3,
        along("conv.weight", 0, 3),
        along("bn.scale", 0, 3, Role.SCALE),
        along("bn.bias", 0, 3, Role.BIAS),
    )
    constants = constants_of(
        conv__weight=np.array([[9.0], [1.0], [5.0]], np.float32),
        bn__scale=np.array([-0.5, 2.0, 0.0], np.float32),
        bn__bias=np.array([7.0, 7.0, 7.0], np.float32),
    )
    scores = score_groups(structure_of(group), constants, criterion("bn_scale"))
    assert scores["g"].tolist() == [0.5, 2.0, 0.0]
    assert scores.notes == ()


def test_bn_scale_falls_back_to_the_folded_norm_and_says_so_once():
    array = np.array([[3.0, -4.0], [1.0, 1.0]], np.float32)
    groups = [group_of(f"g{place}", 2, along("w", 0, 2)) for place in range(5)]
    scores = score_groups(structure_of(*groups), constants_of(w=array), criterion("bn_scale"))
    assert scores["g0"].tolist() == [7.0, 2.0]
    assert len(scores.notes) == 1
    assert "g0, g1, g2 and 2 more" in scores.notes[0]


def test_random_depends_on_seed_and_name_only():
    first, second = group_of("first", 4), group_of("second", 4)
    constants, chosen = constants_of(), criterion("random")
    both = score_groups(structure_of(first, second), constants, chosen, seed=7)
    alone = score_groups(structure_of(second), constants, chosen, seed=7)
    other = score_groups(structure_of(second), constants, chosen, seed=8)
    assert both["second"].tolist() == alone["second"].tolist()
    assert both["first"].tolist() != both["second"].tolist()
    assert alone["second"].tolist() != other["second"].tolist()
    assert ((both["first"] >= 0) & (both["first"] < 1)).all()


def three_layers():
    """Units 0..2; the first layer lacks unit 2, and the second has two indices for unit 0."""
    group = group_of(
        "g",
        3,
        along("a", 0, [0, 1]),
        along("b", 0, [0, 0, 1, 2]),
        along("c", 0, [2, 1, 0]),
        along("a", 0, [0, 1]),
    )
    constants = constants_of(
        a=np.array([[1.0], [4.0]], np.float32),
        b=np.array([[1.0], [2.0], [5.0], [6.0]], np.float32),
        c=np.array([[8.0], [3.0], [2.0]], np.float32),
    )
    return structure_of(group), constants


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("mean", [(1 + 3 + 2) / 3, (4 + 5 + 3) / 3, (6 + 8) / 2]),
        ("max", [3, 5, 8]),
        ("sum", [6, 12, 14]),
        ("prod", [6, 60, 48]),
        ("first", [1, 4, 6]),
    ],
)
def test_reductions_leave_out_layers_that_lack_the_unit_and_count_shared_weights_once(reduction, expected):
    structure, constants = three_layers()
    found = score_groups(structure, constants, criterion("l1", reduction=reduction))["g"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("normalizer", "expected"),
    [
        ("none", [1, 2, 3, 6]),
        ("mean", [1 / 3, 2 / 3, 1, 2]),
        ("max", [1 / 6, 2 / 6, 3 / 6, 1]),
        ("sum", [1 / 12, 2 / 12, 3 / 12, 6 / 12]),
        ("standardize", [0, 0.2, 0.4, 1]),
        ("gaussian", [-2 / 3.5**0.5, -1 / 3.5**0.5, 0, 3 / 3.5**0.5]),
    ],
)
def test_normalizers_scale_within_the_group(normalizer, expected):
    array = np.array([1, 2, 3, 6], np.float32)
    group = group_of("g", 4, along("w", 0, 4))
    found = score_groups(structure_of(group), constants_of(w=array), criterion("l1", normalizer=normalizer))
    np.testing.assert_allclose(found["g"], expected)


def test_scores_that_are_compared_across_groups_are_normalised_unless_told_otherwise():
    array = np.array([1, 3], np.float32)
    structure, constants = structure_of(group_of("g", 2, along("w", 0, 2))), constants_of(w=array)
    compared = score_groups(structure, constants, criterion("l1"), across_groups=True)
    told = score_groups(structure, constants, criterion("l1,normalizer=none"), across_groups=True)
    assert compared["g"].tolist() == [0.5, 1.5]
    assert told["g"].tolist() == [1.0, 3.0]
