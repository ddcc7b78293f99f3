"""Criteria one after the other, with and without a target."""

from __future__ import annotations

import numpy as np
import pytest
from small_networks import network

import onnxprune
from onnxprune.errors import UsageError

IMAGES = np.random.default_rng(0).standard_normal((48, 3, 8, 8)).astype(np.float32)
PLAIN = {"align": "off", "threads": 1, "repair": "none", "verify": False}


def rows(result: onnxprune.PruneResult) -> list[tuple[int, tuple[int, ...]]]:
    """Channels lost and by which criterion, of the layers that can lose some."""
    return [
        (r.channels[0] - r.channels[1], r.removed_by) for r in result.report.layers if r.status == "pruned"
    ]


def test_a_threshold_needs_no_target() -> None:
    result = onnxprune.prune(network(), criterion="l1:21", **PLAIN)
    weights = onnxprune.load_model(network()).constants
    for name in ("conv1.weight", "conv2.weight"):
        norms = np.abs(weights[name].values()).reshape(weights[name].shape[0], -1).sum(axis=1)
        least = max(1, len(norms) // 10)
        below = min(int((norms < 21).sum()), len(norms) - least)
        row = next(row for row in result.report.layers if row.weight == name)
        assert row.channels[0] - row.channels[1] == below
    assert result.report.settings["target"] == {"criterion": "l1:21"}


@pytest.mark.parametrize("given", ["list", "then", "then as a list"])
def test_a_pipeline_is_a_list_or_what_comes_then(given: str) -> None:
    if given == "list":
        asked = {"criterion": ["variance:5", "correlation:0.5"]}
    else:
        then = "correlation:0.5" if given == "then" else ["correlation:0.5"]
        asked = {"criterion": "variance:5", "then": then}
    result = onnxprune.prune(network(), data=IMAGES, **asked, **PLAIN)
    settings = result.report.settings
    assert settings["target"] == {"criterion": "variance:5 --then correlation:0.5"}
    assert [(own["name"], own["threshold"]) for own in settings["criteria"]] == [
        ("variance", 5.0),
        ("correlation", 0.5),
    ]
    assert settings["criterion"] == settings["criteria"][0]
    assert sum(sum(by) for _, by in rows(result)) > 0
    for lost, by in rows(result):
        assert len(by) == 2
        assert sum(by) == lost


@pytest.mark.parametrize("target", [{"ratio": 0.4}, {"macs": "0.5x"}])
def test_criteria_share_a_target(target: dict[str, object]) -> None:
    result = onnxprune.prune(network(), criterion=["l1", "geometric_median"], **target, **PLAIN)
    for lost, (first, second) in rows(result):
        assert first + second == lost
        assert abs(first - second) <= 1
    if "ratio" in target:
        assert [lost for lost, _ in rows(result)] == [32 - 19, 64 - 38]
    else:
        before, after = result.report.totals["macs"]
        assert after <= before / 2


def test_the_own_rule_of_a_criterion_gives_way_to_a_target() -> None:
    by_rule = onnxprune.prune(network(), criterion="cosine", **PLAIN)
    by_ratio = onnxprune.prune(network(), criterion="cosine", ratio=0.1, **PLAIN)
    assert sum(lost for lost, _ in rows(by_ratio)) == 32 - 28 + 64 - 57
    assert 0 < sum(lost for lost, _ in rows(by_rule)) < 48
    assert by_rule.report.settings["target"] == {"criterion": "cosine"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"criterion": ["l1:3", "l2"]}, "How much to prune is missing"),
        ({"criterion": "random:3"}, "'random' has no threshold"),
        ({"criterion": ["l1", "l2"], "ratio": 0.3, "scoring": "greedy"}, "greedy goes with one criterion"),
        ({"criterion": "l1:3", "scoring": "greedy"}, "greedy goes with one criterion"),
        ({"criterion": [], "ratio": 0.3}, "No criterion is given"),
        ({"criterion": ["l1", "correlation"], "ratio": 0.3}, "'correlation'"),
    ],
)
def test_what_does_not_go_together_is_refused(asked: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        onnxprune.prune(network(), **asked)


def test_inspect_plans_by_thresholds_too() -> None:
    found = onnxprune.inspect(network(), criterion="l1:21", align="off")
    assert any(row.kept is not None and row.kept < row.group.size for row in found.groups)
    assert all(row.kept is None for row in onnxprune.inspect(network(), criterion="l1").groups)


def test_verification_holds_for_a_pipeline() -> None:
    result = onnxprune.prune(
        network(), criterion=["l1:21", "cosine,prototype=filter"], ratio=0.5, align=8, threads=1
    )
    assert result.report.verification["masked_equivalence"]["passed"]
