import pytest
from handmade import Net, chain, residual, scores_of

from onnxprune.errors import UsageError
from onnxprune.plan import PlanOptions, RatioTarget, make_plan, parse_layer_ratio


def plan_of(structure, ratio=0.5, **options):
    return make_plan(structure, scores_of(structure), PlanOptions(RatioTarget(ratio), align="off", **options))


def test_an_excluded_layer_leaves_its_whole_group_whole_and_says_which():
    plan = plan_of(residual(), exclude=("block1.b",))
    assert "stem" not in plan.kept
    assert plan.reasons["stem"] == "excluded: the layer 'block1.b' matches --exclude 'block1.b'"
    assert set(plan.kept) == {"block0.a", "block1.a", "block2.a"}


@pytest.mark.parametrize(
    ("glob", "whole"),
    [
        ("conv1", {"conv1"}),
        ("conv1.weight", {"conv1"}),
        ("conv[02]", {"conv0", "conv2"}),
        ("c*", {"conv0", "conv1", "conv2"}),
        ("head", set()),
    ],
)
def test_globs_match_layers_weights_and_groups(glob, whole):
    assert set(plan_of(chain(8, 8, 8), exclude=(glob,)).reasons) == whole


def test_a_layer_that_writes_two_groups_excludes_both():
    net = Net()
    parts = net.group("left", 8) + net.group("right", 8)
    net.conv("both", net.fixed(3), parts)
    plan = plan_of(net.build(), exclude=("both",))
    assert set(plan.reasons) == {"left", "right"}


def test_include_keeps_only_groups_with_a_matching_layer():
    plan = plan_of(residual(), include=("block?.a",))
    assert set(plan.kept) == {"block0.a", "block1.a", "block2.a"}
    assert "--include 'block?.a'" in plan.reasons["stem"]


def test_exclusion_beats_inclusion_and_a_layer_ratio():
    plan = plan_of(
        chain(8, 8, 8), include=("conv*",), exclude=("conv1",), layer_ratios=(("conv1", 0.5), ("conv2", 0.25))
    )
    assert {name: len(kept) for name, kept in plan.kept.items()} == {"conv0": 4, "conv2": 6}


def test_the_later_of_two_layer_ratios_counts():
    plan = plan_of(chain(8, 8, 8), layer_ratios=(("conv*", 0.25), ("conv1", 0.75), ("conv2", 0.0)))
    assert {name: len(kept) for name, kept in plan.kept.items()} == {"conv0": 6, "conv1": 2}
    assert plan.reasons["conv2"] == "its own ratio is 0 (--layer-ratio conv2=0)"


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"include": ("Conv*",)}, "--include 'Conv*'"),
        ({"exclude": ("conv1", "nothing")}, "--exclude 'nothing'"),
        ({"layer_ratios": (("x*", 0.5),)}, "--layer-ratio 'x*'"),
    ],
)
def test_a_glob_that_matches_nothing_is_an_error_with_a_few_names(options, option):
    with pytest.raises(UsageError) as caught:
        plan_of(chain(8, 8, 8), **options)
    assert option in caught.value.message
    assert "'conv0'" in caught.value.hint


def test_brackets_in_a_name_can_be_typed_as_they_are():
    net = Net()
    net.conv("block[0]", net.fixed(3), net.group("block[0]", 8))
    assert "block[0]" in plan_of(net.build(), exclude=("block[0]",)).reasons


def test_layer_ratio_text():
    assert parse_layer_ratio("conv1*=0.2") == ("conv1*", 0.2)
    assert parse_layer_ratio("a=b=0") == ("a=b", 0.0)
    for wrong in ("conv1", "=0.2", "conv1=", "conv1=1", "conv1=x"):
        with pytest.raises(UsageError, match="--layer-ratio"):
            parse_layer_ratio(wrong)


def test_a_layer_ratio_given_in_python_is_checked_too():
    with pytest.raises(UsageError, match="--layer-ratio conv1"):
        plan_of(chain(8, 8), layer_ratios=(("conv1", 1.5),))
