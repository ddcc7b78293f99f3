"""Cuts of successive steps, told in channels of the source."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from onnx import ModelProto, numpy_helper, parser
from strategies import random_graph

import onnxprune
from onnxprune.api.lens import open_lens
from onnxprune.api.lineage import cut_further, descend
from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.plan import CountsTarget, RatioTarget, make_plan
from onnxprune.plan.options import PlanOptions
from onnxprune.surgery import apply
from onnxprune.surgery.compose import compose

GRAPHS = (0, 1, 2, 3, 13, 35, 53, 59, 100, 118)  # among them groups that divide, or cannot be cut twice


@pytest.mark.parametrize("seed", GRAPHS)
def test_two_cuts_are_one_cut_of_the_source(seed: int) -> None:
    """What is composed of two cuts masks the source to what the twice cut model computes."""
    proto = random_graph(seed)
    rng = np.random.default_rng(seed)
    source = couple(load_model(proto))
    lineage, current = descend(source, {}), source
    model = source.model
    for ratio in (0.3, 0.3):
        lens = open_lens(lineage, current)
        scores = {group.name: rng.random(group.size) for group in current.structure.groups}
        plan = make_plan(current.structure, scores, PlanOptions(RatioTarget(ratio), align="off"))
        kept = {name: units for name, units in plan.kept.items() if name in lens.places}
        cut = apply(current, kept)
        lineage = cut_further(lineage, lens.done(kept), cut)
        model = cut.model
        current = couple(model)
    oracle.check(proto, model.to_proto(), lineage.cuts)


def test_units_of_the_source_are_chosen_by_what_the_cut_model_says() -> None:
    source = couple(load_model(random_graph(0)))
    lineage = descend(source, {})
    first = open_lens(lineage, source)
    group = max(source.structure.groups, key=lambda g: (not g.held, g.size))
    kept = {group.name: np.arange(1, group.size, dtype=np.int64)}
    cut = apply(source, kept)
    lineage = cut_further(lineage, first.done(kept), cut)
    current = couple(cut.model)
    lens = open_lens(lineage, current)
    assert lens.gone[group.name].tolist() == [True] + [False] * (group.size - 1)
    scores = lens.lifted({own.name: np.arange(own.size, dtype=float) for own in current.structure.groups})
    assert scores[group.name][0] == -np.inf
    counts = {own.name: own.size for own in source.structure.groups} | {group.name: group.size - 2}
    plan = make_plan(source.structure, scores, PlanOptions(CountsTarget(counts), align="off"))
    assert plan.kept[group.name].tolist() == list(range(2, group.size))
    assert [units.tolist() for units in lens.kept(plan.kept).values()] == [list(range(1, group.size - 1))]


def test_composed_cuts() -> None:
    first = {"w": {"0": {"size": 5, "kept": [0, 2, 4]}}, "v": {"0": {"size": 2, "kept": [1]}}}
    then = {"w": {"0": {"size": 3, "kept": [1, 2]}, "1": {"size": 2, "kept": [0]}}, "copy": {}}
    found = compose(first, then)
    assert found["w"] == {"0": {"size": 5, "kept": [2, 4]}, "1": {"size": 2, "kept": [0]}}
    assert found["v"] == first["v"]
    assert first["w"] == {"0": {"size": 5, "kept": [0, 2, 4]}}


def two_layers_with_one_bias() -> ModelProto:
    """Exporters merge equal vectors: one constant then runs along the units of two groups."""
    model = parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        merged (float[N, 3, 8, 8] image) => (float[N, 5, 8, 8] scores) {
            first = Identity (bias)
            second = Identity (bias)
            a = Conv <pads = [1, 1, 1, 1]> (image, A, first)
            x = Relu (a)
            b = Conv <pads = [1, 1, 1, 1]> (x, B, second)
            y = Relu (b)
            scores = Conv (y, C)
        }""")
    rng = np.random.default_rng(0)
    weights = {"A": (8, 3, 3, 3), "B": (8, 8, 3, 3), "C": (5, 8, 1, 1), "bias": (8,)}
    model.graph.initializer.extend(
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in weights.items()
    )
    return model


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_merged_vector_does_not_mix_groups_up(steps: int) -> None:
    proto = two_layers_with_one_bias()
    found = onnxprune.prune(proto, ratio=0.5, align="off", steps=steps)
    again = onnxprune.prune(found.model, ratio=0.25, align="off")
    for result, left in ((found, 4), (again, 3)):
        assert [row.channels[1] for row in result.report.layers][:2] == [left, left]
        assert result.report.verification["masked_equivalence"]["passed"]
    oracle.check(proto, found.model.to_proto(), found.report.cuts)
