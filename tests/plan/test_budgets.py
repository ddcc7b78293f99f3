import pytest
from handmade import chain, counts_of, dense, inverted, predicted, residual, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.errors import TargetError
from onnxprune.plan import PlanOptions, make_plan, parse_macs, parse_params, parse_size

NETS = {
    "chain": chain(64, 128, 256),
    "residual": residual(128, (64, 64, 64)),
    "inverted": inverted((24, 40, 80)),
    "dense": dense(6, 32, 64),
}


def whole(structure):
    return predicted(structure, {group.name: group.size for group in structure.groups})


def plan_of(structure, target, **options):
    return make_plan(structure, scores_of(structure), PlanOptions(target, **options))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("scope", ["local", "global", "isomorphic"])
@pytest.mark.parametrize("align", ["off", 8])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize(
    ("parse", "metric"), [(parse_macs, "macs"), (parse_params, "params"), (parse_size, "bytes")]
)
def test_a_budget_is_met_from_below_and_nearly(name, scope, align, share, parse, metric):
    structure = NETS[name]
    plan = plan_of(structure, parse(f"{share}x"), scope=scope, align=align)
    limit = share * whole(structure)[metric]
    assert plan.totals == pytest.approx(predicted(structure, counts_of(structure, plan)))
    assert 0.94 * limit <= plan.totals[metric] <= limit * (1 + 1e-9)


def test_the_plain_plan_meets_the_budget_too():
    structure = NETS["residual"]
    plan = plan_of(structure, parse_macs("0.5x"), align=16)
    assert plan.alignment == 16
    assert plan.unaligned["macs"] <= 0.5 * whole(structure)["macs"]


def test_a_size_counts_what_the_file_holds_beside_its_constants():
    structure = NETS["chain"]
    constants, overhead = whole(structure)["bytes"], 500_000.0
    plan = plan_of(structure, parse_size("1MB"), align="off", overhead_bytes=overhead)
    assert 0.99e6 <= plan.totals["bytes"] <= 1e6
    shares = plan_of(structure, parse_size("0.5x"), align="off", overhead_bytes=overhead)
    assert shares.totals["bytes"] == pytest.approx(0.5 * (constants + overhead), rel=0.01)


def test_a_budget_above_the_present_size_removes_nothing_and_says_why():
    structure = NETS["chain"]
    for text in ("1x", "3x", "900G"):
        plan = plan_of(structure, parse_macs(text))
        assert not plan.kept
        assert set(plan.reasons) == {"conv0", "conv1", "conv2"}
        assert all(f"--macs {text} holds without cutting it" in reason for reason in plan.reasons.values())
        assert plan.totals == plan.unaligned == pytest.approx(whole(structure))


@pytest.mark.parametrize("align", ["off", 16])
@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize(
    ("parse", "text", "unit"),
    [
        (parse_macs, "0.0001x", "x"),
        (parse_macs, "1k", "k"),
        (parse_params, "0.00001M", "M"),
        (parse_size, "0.1kB", "kB"),
    ],
)
def test_a_budget_out_of_reach_names_the_nearest_that_is_in_reach(align, scope, parse, text, unit):
    structure = NETS["chain"]
    with pytest.raises(TargetError) as caught:
        plan_of(structure, parse(text), align=align, scope=scope)
    message = caught.value.message
    assert str(parse(text)) in message
    nearest = message.rstrip(".").rpartition(" ")[2]
    assert nearest.endswith(unit)
    plan = plan_of(structure, parse(nearest), align=align, scope=scope)
    assert len(plan.kept) == 3
    assert ("--align off" in caught.value.hint) == (align == 16)


def test_what_is_excluded_limits_what_can_be_reached():
    structure = NETS["chain"]
    with pytest.raises(TargetError) as caught:
        plan_of(structure, parse_macs("0.2x"), exclude=("conv1", "conv2"))
    assert "let more layers be cut" in caught.value.hint
    with pytest.raises(TargetError, match="cannot be met") as caught:
        plan_of(structure, parse_macs("0.5x"), exclude=("*",))
    assert "No layer of the model can be cut" in caught.value.hint


def test_layer_ratios_stand_and_the_rest_meets_the_budget():
    structure = NETS["chain"]
    plan = plan_of(structure, parse_macs("0.4x"), align="off", layer_ratios=(("conv0", 0.0), ("conv1", 0.25)))
    assert len(plan.kept["conv1"]) == 96
    assert "conv0" in plan.reasons
    assert plan.totals["macs"] == pytest.approx(0.4 * whole(structure)["macs"], rel=0.01)


def test_layer_ratios_alone_may_meet_the_budget():
    structure = NETS["chain"]
    plan = plan_of(structure, parse_macs("0.9x"), align=16, layer_ratios=(("conv1", 0.5),))
    assert {name: len(kept) for name, kept in plan.kept.items()} == {"conv1": 64}
    assert "--macs 0.9x holds without cutting it" in plan.reasons["conv2"]


@given(share=st.floats(0.02, 0.99), align=st.sampled_from(["off", 4, 16]), name=st.sampled_from(sorted(NETS)))
@settings(max_examples=60, deadline=None)
def test_a_plan_is_at_or_below_its_budget_or_refused(share, align, name):
    structure = NETS[name]
    target = parse_macs(f"{share:.6f}x")
    try:
        plan = plan_of(structure, target, align=align)
    except TargetError:
        smallest = plan_of(structure, parse_macs("0.999x"), align=align).totals["macs"]
        assert target.limit(whole(structure)["macs"]) < smallest
        return
    assert plan.totals["macs"] <= target.limit(whole(structure)["macs"]) * (1 + 1e-9)
