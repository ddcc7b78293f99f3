import numpy as np
from handmade import Net, chain, counts_of, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.coupling.groups import Guard
from onnxprune.plan.select import best_units, choose_units


def flat_structure(*sizes, guards=()):
    net = Net()
    for place, size in enumerate(sizes):
        net.group(f"g{place}", size)
    net.guards += [Guard(tuple(members)) for members in guards]
    return net.build()


def kept_of(structure, scores, counts, **options):
    return {n: k.tolist() for n, k in choose_units(structure, scores, counts, **options).items()}


@given(values=st.lists(st.integers(0, 4), min_size=1, max_size=20), data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_lowest_scores_go_and_of_equal_ones_the_first(values, data):
    count = data.draw(st.integers(1, len(values)))
    gone = sorted(range(len(values)), key=lambda i: (values[i], i))[: len(values) - count]
    assert best_units(np.array(values, float), count).tolist() == sorted(set(range(len(values))) - set(gone))


def test_a_guarded_axis_gets_its_best_unit_back_for_the_worst_of_the_others():
    structure = flat_structure(6, guards=[[("g0", 0), ("g0", 1), ("g0", 2)]])
    scores = {"g0": np.array([1.0, 3.0, 2.0, 7.0, 8.0, 9.0])}
    assert kept_of(structure, scores, {"g0": 3}) == {"g0": [1, 4, 5]}


def test_a_guard_that_leaves_no_other_unit_to_go_keeps_one_more():
    structure = flat_structure(4, guards=[[("g0", 0), ("g0", 1)], [("g0", 2), ("g0", 3)]])
    scores = {"g0": np.array([1.0, 2.0, 3.0, 4.0])}
    assert kept_of(structure, scores, {"g0": 1}) == {"g0": [1, 3]}


def test_a_guard_across_groups_takes_the_unit_that_ranks_highest_in_its_group():
    structure = flat_structure(4, 4, guards=[[("g0", 0), ("g1", 1)]])
    scores = {"g0": np.array([1.0, 2, 3, 4]), "g1": np.array([5.0, 60, 70, 80])}
    assert kept_of(structure, scores, {"g0": 2, "g1": 2}) == {"g0": [2, 3], "g1": [1, 3]}


def test_a_guard_with_a_member_that_loses_nothing_holds():
    structure = flat_structure(4, 4, guards=[[("g0", 0), ("g1", 1)]])
    scores = {"g0": np.arange(4.0), "g1": np.arange(4.0)}
    assert kept_of(structure, scores, {"g0": 2}) == {"g0": [2, 3]}


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_every_guard_holds_and_counts_stay_where_they_can(data):
    sizes = data.draw(st.lists(st.integers(2, 8), min_size=1, max_size=3))
    pairs = [(f"g{g}", unit) for g, size in enumerate(sizes) for unit in range(size)]
    guards = data.draw(st.lists(st.lists(st.sampled_from(pairs), min_size=1, unique=True), max_size=4))
    structure = flat_structure(*sizes, guards=guards)
    counts = {f"g{g}": data.draw(st.integers(1, size)) for g, size in enumerate(sizes)}
    scores = scores_of(structure, data.draw(st.integers(0, 99)))
    kept = choose_units(structure, scores, counts)
    alive = {(name, unit) for name, unit in pairs if name not in kept or unit in kept[name]}
    assert all(alive & set(guard) for guard in guards)
    for group in structure.groups:
        left = len(kept.get(group.name, range(group.size)))
        assert counts[group.name] <= left <= counts[group.name] + len(guards)


def test_greedy_selection_walks_in_order_and_tells_what_went_before():
    structure = chain(4, 4, 4)
    seen = []

    def rescore(group, kept):
        seen.append((group.name, {name: units.tolist() for name, units in kept.items()}))
        return np.arange(4.0) if group.name == "conv0" else -np.arange(4.0)

    scores = {group.name: np.ones(4) for group in structure.groups}
    kept = kept_of(structure, scores, {"conv0": 2, "conv2": 1}, rescore=rescore)
    assert kept == {"conv0": [2, 3], "conv2": [0]}
    assert seen == [("conv0", {}), ("conv2", {"conv0": [2, 3]})]


def test_handmade_counts_read_untouched_groups_as_whole():
    structure = chain(4, 6)
    assert counts_of(structure, type("P", (), {"kept": {"conv0": [1]}})) == {"conv0": 1, "conv1": 6}
