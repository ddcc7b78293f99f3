import numpy as np
import pytest
from handmade import Net, chain, counts_of, grouped, inverted, predicted, residual, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.coupling.groups import Guard, SizeModel, Structure
from onnxprune.criteria import criterion, rescorer, score_groups
from onnxprune.errors import UsageError
from onnxprune.model.constants import Constant, Constants
from onnxprune.plan import PlanOptions, RatioTarget, kept_count, make_plan, parse_macs


def plan_of(structure, ratio=0.4, *, scores=None, rescore=None, **options):
    given_scores = scores_of(structure) if scores is None else scores
    return make_plan(structure, given_scores, PlanOptions(RatioTarget(ratio), **options), rescore=rescore)


@given(
    widths=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    ratio=st.floats(0, 0.99),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_without_alignment_every_group_keeps_exactly_its_share_of_the_best(widths, ratio, seed):
    structure = chain(*widths)
    scores = scores_of(structure, seed)
    plan = plan_of(structure, ratio, scores=scores, align="off")
    assert plan.alignment == 1
    for group in structure.groups:
        count = kept_count(group.size, ratio)
        if count == group.size:
            assert plan.reasons[group.name]
            assert group.name not in plan.kept
            continue
        kept = plan.kept[group.name]
        assert len(kept) == count
        assert (np.diff(kept) > 0).all()
        gone = np.delete(scores[group.name], kept)
        assert scores[group.name][kept].min() >= gone.max()
    wanted = predicted(structure, {g.name: kept_count(g.size, ratio) for g in structure.groups})
    assert plan.totals == plan.unaligned == pytest.approx(wanted)


@pytest.mark.parametrize(
    "structure", [residual(), inverted(), grouped()], ids=["residual", "inverted", "grouped"]
)
def test_every_group_is_either_cut_or_explained(structure):
    plan = plan_of(structure, align=16)
    assert set(plan.kept) | set(plan.reasons) == {group.name for group in structure.groups}
    assert not set(plan.kept) & set(plan.reasons)
    assert all(plan.reasons.values())
    assert plan.totals == pytest.approx(predicted(structure, counts_of(structure, plan)))


def test_held_groups_are_never_cut_and_say_why():
    net = Net()
    source = net.conv("free", net.fixed(3), net.group("free", 64))
    net.conv("held", source, net.group("held", 64, held="its heads are pruned in its stead"))
    structure = net.build()
    for options in ({}, {"layer_ratios": (("held", 0.5),)}, {"include": ("held",)}, {"scope": "global"}):
        plan = plan_of(structure, align="off", **options)
        assert plan.reasons["held"] == "its heads are pruned in its stead"
        assert "held" not in plan.kept


def test_held_groups_need_no_scores_and_others_do():
    net = Net()
    net.group("held", 8, held="x")
    net.group("free", 8)
    structure = net.build()
    assert "free" in plan_of(structure, scores={"free": np.arange(8.0)}, align="off").kept
    with pytest.raises(UsageError, match="'free' has 8 units, but scores of shape None"):
        plan_of(structure, scores={})
    with pytest.raises(UsageError, match=r"shape \(7,\)"):
        plan_of(structure, scores={"free": np.arange(7.0)})


def test_reasons_for_groups_left_whole_by_the_numbers():
    structure = chain(1, 4, 64)
    plan = plan_of(structure, 0.4, align=16)
    assert "single unit" in plan.reasons["conv0"]
    assert plan.reasons["conv1"].startswith("alignment: 2 of 4 units would have stayed")
    assert "fast at no smaller count" in plan.reasons["conv1"]
    nothing = plan_of(structure, 0.0)
    assert set(nothing.reasons.values()) == {"the ratio is 0"}
    assert not nothing.kept


def test_a_group_whose_units_all_matter_is_left_whole_under_a_global_threshold():
    structure = chain(10, 10)
    scores = {"conv0": np.arange(10.0), "conv1": np.arange(10.0) + 100}
    plan = plan_of(structure, 0.4, scores=scores, scope="global", align="off")
    assert plan.kept["conv0"].tolist() == [8, 9]
    assert "least important" in plan.reasons["conv1"]


def test_a_group_made_whole_by_its_guards_says_so():
    net = Net()
    net.conv("pair", net.fixed(3), net.group("pair", 2))
    net.guards += [Guard((("pair", 0),)), Guard((("pair", 1),))]
    structure = net.build()
    plan = plan_of(structure, 0.5, align="off")
    assert not plan.kept
    assert "become empty" in plan.reasons["pair"]
    assert plan.totals["macs"] == predicted(structure, {"pair": 2})["macs"]


def test_an_aligned_layer_ratio_only_moves_to_the_next_count():
    structure = chain(64, 64, 64)
    plan = plan_of(structure, 0.4, align=16, layer_ratios=(("conv1", 0.3),))
    assert counts_of(structure, plan)["conv1"] in (32, 48)
    exact = plan_of(structure, 0.4, align=16, layer_ratios=(("conv1", 0.5),))
    assert counts_of(structure, exact)["conv1"] == 32


def test_whole_groups_stay_whole_when_counts_are_aligned():
    structure = chain(64, 64, 64)
    plan = plan_of(structure, 0.3, align=16, exclude=("conv1",))
    assert "conv1" not in plan.kept
    assert {len(kept) % 16 for kept in plan.kept.values()} == {0}


@pytest.mark.parametrize(("align", "grid"), [("off", 1), (1, 1), ("4", 4), (32, 32)])
def test_the_grid_is_told(align, grid):
    assert plan_of(chain(64, 64), align=align).alignment == grid


def test_greedy_needs_a_way_to_score_again_and_uses_it():
    structure = chain(8, 8)
    with pytest.raises(UsageError, match="score again"):
        plan_of(structure, greedy=True)
    plan = plan_of(
        structure, 0.5, align="off", greedy=True, rescore=lambda group, kept: -np.arange(8.0) - len(kept)
    )
    assert [kept.tolist() for kept in plan.kept.values()] == [[0, 1, 2, 3]] * 2
    plain = plan_of(
        structure,
        0.5,
        align="off",
        scores={g.name: np.arange(8.0) for g in structure.groups},
        rescore=lambda group, kept: -np.arange(8.0),
    )
    assert plain.kept["conv0"].tolist() == [4, 5, 6, 7]


def test_a_group_whose_neighbouring_counts_are_all_and_far_less_says_so():
    structure = chain(*[32] * 12)
    plan = plan_of(structure, 0.3, align=16)
    assert {len(kept) for kept in plan.kept.values()} == {16}
    assert all("fast is 16, and all of them fit" in reason for reason in plan.reasons.values())
    assert 0 < len(plan.reasons) < 12


def test_greedy_plans_rank_filters_by_the_kernels_that_are_left():
    structure = chain(8, 8, steps=())
    rng = np.random.default_rng(3)
    arrays = {f"conv{i}.weight": rng.standard_normal((8, (3, 8)[i], 3, 3)).astype(np.float32) for i in (0, 1)}
    arrays["head.weight"] = np.ones((10, 8, 1, 1), np.float32)
    constants = Constants({name: Constant(name, a.shape, 1, lambda a=a: a) for name, a in arrays.items()})
    chosen = criterion("l1")
    plan = plan_of(
        structure,
        0.5,
        scores=score_groups(structure, constants, chosen),
        rescore=rescorer(structure, constants, chosen),
        greedy=True,
    )
    first = np.sort(np.argsort(abs(arrays["conv0.weight"]).sum(axis=(1, 2, 3)))[4:])
    second = np.sort(np.argsort(abs(arrays["conv1.weight"][:, first]).sum(axis=(1, 2, 3)))[4:])
    assert plan.kept["conv0"].tolist() == first.tolist()
    assert plan.kept["conv1"].tolist() == second.tolist()
    independent = np.sort(np.argsort(abs(arrays["conv1.weight"]).sum(axis=(1, 2, 3)))[4:])
    assert independent.tolist() != second.tolist()


def test_a_model_with_nothing_to_prune_gives_an_empty_plan():
    structure = Structure((), (), SizeModel((), (), (), ()))
    for target in (RatioTarget(0.4), parse_macs("1x")):
        plan = make_plan(structure, {}, PlanOptions(target, overhead_bytes=10.0))
        assert (dict(plan.kept), dict(plan.reasons)) == ({}, {})
        assert plan.totals == {"macs": 0.0, "params": 0.0, "bytes": 10.0}


def test_without_macs_the_parameters_are_held():
    structure = residual(256, (64,) * 6)
    bare = SizeModel(structure.sizes.axes, (), structure.sizes.params, structure.sizes.bytes)
    plan = plan_of(Structure(structure.groups, (), bare), 0.4, align=16)
    assert abs(plan.totals["params"] / plan.unaligned["params"] - 1) < 0.03
