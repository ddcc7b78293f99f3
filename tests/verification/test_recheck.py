"""A pruned file is checked with its source and the cuts of its report alone."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper
from strategies import random_graph
from verified_networks import Example, constant, convolutions, example, group_norm, layer_norm, network, store

from onnxprune.coupling import couple
from onnxprune.errors import InputError, VerificationError
from onnxprune.model import load_model
from onnxprune.verification import Verification, recheck
from onnxprune.verification.recheck import kept_units


def checked(found: Example, *, cuts: object = None, exact: bool = True) -> Verification:
    """Everything goes through files' contents, as it does for the verb."""
    source, pruned = (load_model(m.to_proto().SerializeToString()) for m in (found.source, found.cut.model))
    report = json.loads(json.dumps(found.cut.cuts if cuts is None else cuts))
    return recheck(source, pruned, report, exact=exact, threads=1)


@pytest.mark.parametrize("make", [convolutions, layer_norm, group_norm])
def test_a_right_report_passes(make: Callable[[], onnx.ModelProto]) -> None:
    found = checked(example(make()))
    assert found.passed
    assert found.checked
    assert found.max_relative_error <= found.tolerance


def test_the_choice_of_units_follows_from_the_cuts() -> None:
    for seed in range(30):
        found = example(random_graph(seed), seed=seed)
        kept = kept_units(found.coupling, found.cut.cuts)
        assert np.array_equal(found.coupling.survivors(kept).gone, found.cut.survivors.gone)


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed: int) -> None:
    assert checked(example(random_graph(seed), seed=seed)).passed


def test_nothing_cut_is_the_source_itself() -> None:
    source = load_model(convolutions())
    assert recheck(source, source, {}, threads=1).passed


def test_values_must_be_those_of_the_source_to_the_last_bit() -> None:
    def nudge(proto: onnx.ModelProto) -> None:
        values = constant(proto, "w2").copy()
        values.flat[0] = np.nextafter(values.flat[0], np.float32(9))
        store(proto, "w2", values)

    nudged = example(convolutions()).edited(nudge)
    with pytest.raises(VerificationError, match="'w2'"):
        checked(nudged)
    assert checked(nudged, exact=False).passed


def test_values_that_a_repair_changed_are_compared_in_what_they_compute() -> None:
    def scale(proto: onnx.ModelProto) -> None:
        store(proto, "w2", constant(proto, "w2") * np.float32(1.2))

    found = checked(example(convolutions()).edited(scale), exact=False)
    assert found.checked
    assert not found.passed


def test_constants_that_were_not_cut_count_too() -> None:
    graph = "(float[4, 8] x) => (float y) { a = Gemm(x, w1) r = Relu(a) c = Gemm(r, w2) y = Add(c, last) }"
    right = example(network(graph, {"w1": (8, 16), "w2": (16, 5), "last": (5,)}))

    def change(proto: onnx.ModelProto) -> None:
        store(proto, "last", constant(proto, "last") + np.float32(1))

    with pytest.raises(VerificationError, match="'last'"):
        checked(right.edited(change))


def with_kept(found: Example, name: str, axis: str, change: Callable[[list[int]], list[int]]) -> dict:
    cuts = copy.deepcopy(found.cut.cuts)
    cuts[name][axis]["kept"] = change(cuts[name][axis]["kept"])
    return cuts


def test_cuts_that_contradict_each_other_are_refused() -> None:
    found = example(convolutions())
    gone = sorted(set(range(16)) - set(found.cut.cuts["w1"]["0"]["kept"]))
    other = with_kept(found, "b1", "0", lambda kept: sorted([*kept[1:], gone[0]]))
    with pytest.raises(VerificationError, match="do not fit"):
        checked(found, cuts=other)
    missing = {name: axes for name, axes in found.cut.cuts.items() if name != "mean"}
    with pytest.raises(VerificationError, match="do not fit"):
        checked(found, cuts=missing)


MALFORMED = {
    "an unknown tensor": lambda cuts: {**cuts, "nowhere": cuts["w1"]},
    "an axis that is not there": lambda cuts: {**cuts, "w1": {"9": cuts["w1"]["0"]}},
    "no axis at all": lambda cuts: {**cuts, "w1": {"first": cuts["w1"]["0"]}},
    "another size": lambda cuts: {**cuts, "w1": {"0": {**cuts["w1"]["0"], "size": 7}}},
    "an index too large": lambda cuts: {**cuts, "w1": {"0": {"size": 16, "kept": [0, 16]}}},
    "no index": lambda cuts: {**cuts, "w1": {"0": {"size": 16, "kept": []}}},
    "indices out of order": lambda cuts: {**cuts, "w1": {"0": {"size": 16, "kept": [3, 1]}}},
    "indices that are no numbers": lambda cuts: {**cuts, "w1": {"0": {"size": 16, "kept": ["1"]}}},
    "no list": lambda cuts: {**cuts, "w1": {"0": 5}},
    "no axes": lambda cuts: {**cuts, "w1": [1]},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_report_that_is_not_of_this_source(name: str) -> None:
    found = example(convolutions())
    with pytest.raises(InputError, match="report"):
        checked(found, cuts=MALFORMED[name](found.cut.cuts))


def test_another_interface_is_refused() -> None:
    def rename(proto: onnx.ModelProto) -> None:
        proto.graph.node.append(helper.make_node("Identity", ["y"], ["other"]))
        proto.graph.output[0].name = "other"

    with pytest.raises(VerificationError, match="outputs"):
        checked(example(convolutions()).edited(rename))


def test_the_pruned_model_of_another_run_is_refused() -> None:
    one, other = (example(convolutions(), seed=seed) for seed in (0, 1))
    with pytest.raises(VerificationError, match="not what the cuts leave"):
        checked(one, cuts=other.cut.cuts)
    assert couple(one.source).structure.groups
