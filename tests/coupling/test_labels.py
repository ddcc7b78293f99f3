"""Labels: the algebra on which everything else stands."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.coupling.labels import MAX_AXIS, Labels


def same(labels: Labels, left: np.ndarray, right: np.ndarray) -> bool:
    return np.array_equal(labels.find(left), labels.find(right))


def test_fresh_axes_are_free_and_distinct() -> None:
    labels = Labels()
    a, b = labels.fresh(4), labels.fresh(4)
    assert labels.is_free(a)
    assert len(set(labels.find(np.concatenate([a, b])).tolist())) == 8


def test_an_axis_of_one_index_is_born_pinned() -> None:
    labels = Labels()
    axis = labels.fresh(1)
    assert not labels.is_free(axis)
    assert labels.reasons(axis) == ["it has a single channel"]


def test_equating_is_transitive() -> None:
    labels = Labels()
    a, b, c = (labels.fresh(5) for _ in range(3))
    labels.equate(a, b)
    labels.equate(c, b)
    assert same(labels, a, c)


def test_equating_with_a_permutation_and_repeats_settles() -> None:
    labels = Labels()
    a, b = labels.fresh(6), labels.fresh(3)
    labels.equate(a, np.tile(b, 2))
    labels.equate(a, a[::-1])
    assert same(labels, a, a[::-1])
    assert len(np.unique(labels.find(a))) == 2


def test_one_leaf_against_many_settles() -> None:
    labels = Labels()
    one, many = labels.fresh(2)[:1], labels.fresh(200)
    labels.equate(np.repeat(one, 200), many)
    assert len(np.unique(labels.find(many))) == 1


def test_pinning_reaches_aliases_and_keeps_its_reason() -> None:
    labels = Labels()
    a, b = labels.fresh(3), labels.fresh(3)
    labels.equate(a, b)
    labels.pin(b, "it feeds the output")
    assert not labels.is_free(a)
    assert labels.reasons(a) == ["it feeds the output"]


def test_the_reason_travels_over_an_equation_with_a_pinned_axis() -> None:
    labels = Labels()
    a = labels.fresh(3)
    labels.equate(a, labels.pinned(3, "it is an input"))
    assert labels.reasons(a) == ["it is an input"]


def test_a_product_goes_with_any_of_its_members() -> None:
    labels = Labels()
    heads, dims = labels.fresh(2), labels.fresh(3)
    flat = labels.product([heads, dims])
    assert [labels.members(x) for x in labels.find(flat).tolist()] == [(h, d) for h in heads for d in dims]


@pytest.mark.parametrize("order", ["repeat", "tile"])
def test_a_pinned_factor_repeats_the_other(order: str) -> None:
    labels = Labels()
    channels, space = labels.fresh(3), labels.pinned(4, "spatial")
    if order == "repeat":
        assert same(labels, labels.product([channels, space]), np.repeat(channels, 4))
    else:
        assert same(labels, labels.product([space, channels]), np.tile(channels, 4))


def test_split_of_leaves_defines_them_by_their_factors() -> None:
    labels = Labels()
    flat = labels.fresh(6)
    outer, inner = labels.split(flat, (2, 3))
    assert same(labels, labels.product([outer, inner]), flat)
    assert labels.is_free(outer)
    assert labels.is_free(inner)


def test_split_undoes_product_without_new_labels() -> None:
    labels = Labels()
    a, b = labels.fresh(4), labels.fresh(5)
    flat = labels.product([a, b])
    count = len(labels)
    outer, inner = labels.split(flat, (4, 5))
    assert same(labels, outer, a)
    assert same(labels, inner, b)
    assert len(labels) <= count + 2  # at most a name for "no label"


@pytest.mark.parametrize("lengths", [(3, 4), (4, 3)])
def test_split_of_repeated_labels_gives_them_to_one_factor(lengths: tuple[int, int]) -> None:
    labels = Labels()
    channels = labels.fresh(lengths[0])
    outer, inner = labels.split(np.repeat(channels, lengths[1]), lengths)
    assert same(labels, outer, channels)
    assert not labels.is_free(inner)


def test_split_with_factors_of_one_passes_the_axis_on() -> None:
    labels = Labels()
    axis = labels.fresh(4)
    one, rest, last = labels.split(axis, (1, 4, 1))
    assert rest is axis
    assert not labels.is_free(one)
    assert not labels.is_free(last)


def test_a_flat_axis_may_be_equated_first_and_split_later() -> None:
    labels = Labels()
    left, right = labels.fresh(6), labels.fresh(6)
    labels.equate(left, right)
    a, b = labels.split(left, (2, 3))
    c, d = labels.split(right, (2, 3))
    assert same(labels, a, c)
    assert same(labels, b, d)


def test_equal_products_tie_their_factors() -> None:
    labels = Labels()
    a, b, c, d = labels.fresh(2), labels.fresh(3), labels.fresh(2), labels.fresh(3)
    labels.equate(labels.product([a, b]), labels.product([c, d]))
    assert same(labels, a, c)
    assert same(labels, b, d)


def test_a_label_is_never_defined_by_itself() -> None:
    labels = Labels()
    a, b = labels.fresh(2), labels.fresh(2)
    both = labels.product([a, b])[[0, 3]]
    labels.equate(a, both)
    assert same(labels, labels.product([a, b])[[0, 3]], a)
    assert not labels.is_free(b)


def test_products_follow_when_members_are_pinned_later() -> None:
    labels = Labels()
    a, b = labels.fresh(2), labels.fresh(3)
    flat = labels.product([a, b])
    labels.pin(a, "whole")
    assert same(labels, flat, np.tile(b, 2))
    labels.pin(b, "whole")
    assert not labels.is_free(flat)


def test_concatenation_of_leaves_and_products_can_be_equated_with_a_weight() -> None:
    labels = Labels()
    plain, heads, dims = labels.fresh(4), labels.fresh(2), labels.fresh(3)
    joined = np.concatenate([plain, labels.product([heads, dims])])
    weight = labels.fresh(10)
    labels.equate(weight, joined)
    assert same(labels, weight, joined)


def test_an_axis_too_long_to_follow_is_pinned() -> None:
    labels = Labels()
    a, b = labels.fresh(2), labels.fresh(3)
    long = labels.pinned(MAX_AXIS // 4, "space")
    flat = labels.product([a, long, b])
    assert not labels.is_free(a)
    assert len(flat) == 6 * (MAX_AXIS // 4)


def test_canonical_answers_for_all_labels_at_once() -> None:
    labels = Labels()
    flat = labels.fresh(6)
    outer, _ = labels.split(flat, (2, 3))
    labels.pin(outer, "whole")
    canonical = labels.canonical()
    assert np.array_equal(canonical[flat], labels.find(flat))


@pytest.mark.parametrize("seed", range(20))
def test_random_equations_hold_and_never_loop(seed: int) -> None:
    """Every equation that was ever stated holds in the end, whatever came after it."""
    rng = np.random.default_rng(seed)
    labels = Labels()
    axes = [labels.fresh(12) for _ in range(6)]
    stated = []
    for _ in range(25):
        a, b = axes[rng.integers(len(axes))], axes[rng.integers(len(axes))]
        kind = rng.integers(5)
        if kind == 0:
            stated.append((a, b))
            labels.equate(a, b)
        elif kind == 1:
            lengths = [(2, 6), (3, 4), (4, 3), (6, 2)][rng.integers(4)]
            parts = labels.split(a, lengths)
            stated.append((labels.product(parts), a))
        elif kind == 2:
            parts = labels.split(a, (3, 4))
            axes.append(labels.product(parts[::-1]))
        elif kind == 3:
            axes.append(np.concatenate([a[6:], b[:6]]))
        elif rng.random() < 0.2:
            labels.pin(a[: rng.integers(1, 4)], "pinned")
    for left, right in stated:
        assert same(labels, left, right)
