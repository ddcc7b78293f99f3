import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.coupling.groups import Group
from onnxprune.errors import UsageError
from onnxprune.plan import SCOPES, kept_count, scope
from onnxprune.plan.allocate import FLOOR, allocation

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=8)
RATIOS = st.one_of(st.floats(0, 0.999), st.sampled_from([0.0, 0.1, 0.25, 0.4, 0.5, 0.9, 0.95]))


def made(sizes, signatures=None):
    names = signatures or [""] * len(sizes)
    return [Group(f"g{i}", size, (), (), signature=names[i]) for i, size in enumerate(sizes)]


def split(name, groups, scores, ratio):
    return allocation(groups, scores, scope(name))(ratio)


@pytest.mark.parametrize(
    ("size", "ratio", "kept"),
    [(10, 0.4, 6), (64, 0.4, 38), (1, 0.9, 1), (10, 0.0, 10), (3, 0.99, 1), (10, 0.3, 7), (100, 0.29, 71)],
)
def test_a_group_keeps_the_floor_of_its_share(size, ratio, kept):
    assert kept_count(size, ratio) == kept


@given(sizes=SIZES, ratio=RATIOS, seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_local_gives_every_group_its_own_share_whatever_the_scores(sizes, ratio, seed):
    rng = np.random.default_rng(seed)
    counts = split("local", made(sizes), [rng.integers(0, 3, size) * 1.0 for size in sizes], ratio)
    assert counts.tolist() == [kept_count(size, ratio) for size in sizes]


def plain_threshold(sizes, scores, ratio):
    """Removes the least important unit of all that may still go, one at a time."""
    least = [max(1, int(size * min(FLOOR, 1 - ratio) + 1e-9)) for size in sizes]
    left = [sorted(score.tolist()) for score in scores]
    quota = sum(sizes) - int(sum(sizes) * (1 - ratio) + 1e-9)
    for _ in range(quota):
        open_ = [i for i, units in enumerate(left) if len(units) > least[i]]
        if not open_:
            break
        left[min(open_, key=lambda i: (left[i][0], i))].pop(0)
    return [len(units) for units in left]


@given(sizes=SIZES, ratio=RATIOS, seed=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_global_removes_the_least_important_units_of_all_groups(sizes, ratio, seed):
    rng = np.random.default_rng(seed)
    scores = [rng.integers(0, 9, size) * 1.0 for size in sizes]
    assert split("global", made(sizes), scores, ratio).tolist() == plain_threshold(sizes, scores, ratio)


@given(sizes=st.lists(st.integers(10, 60), min_size=1, max_size=8), ratio=st.floats(0, 0.9))
@settings(max_examples=60, deadline=None)
def test_global_removes_the_ratio_overall_and_leaves_a_tenth_everywhere(sizes, ratio):
    scores = [np.arange(size) + 100.0 * place for place, size in enumerate(sizes)]
    counts = split("global", made(sizes), scores, ratio)
    assert counts.sum() == int(sum(sizes) * (1 - ratio) + 1e-9)
    assert all(count >= max(1, int(size * FLOOR)) for count, size in zip(counts, sizes, strict=True))


def test_isomorphic_compares_only_groups_of_the_same_signature():
    groups = made([10, 10, 10, 10], ["a", "b", "a", ""])
    scores = [np.full(10, 1.0), np.full(10, 100.0), np.full(10, 2.0), np.full(10, 0.1)]
    # within "a" the first group scores lower; "b" and the one without a signature stand alone
    assert split("isomorphic", groups, scores, 0.4).tolist() == [2, 6, 10, 6]


def test_no_groups_no_counts():
    for name in SCOPES:
        assert split(name, [], [], 0.4).tolist() == []


def test_an_unknown_scope_is_named_with_the_known_ones():
    with pytest.raises(UsageError) as caught:
        scope("globl")
    assert "'globl'" in caught.value.message
    assert "Did you mean 'global'?" in caught.value.hint


def test_scopes_say_whether_scores_have_to_be_comparable():
    compared = {name: found.across_groups for name, found in SCOPES.items()}
    assert compared == {"local": False, "global": True, "isomorphic": True}
