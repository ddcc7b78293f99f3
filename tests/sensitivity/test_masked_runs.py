"""Masks that are fed compute what surgery leaves, on networks of every kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from small_networks import network
from strategies import random_graph

from onnxprune.coupling import Coupling, couple
from onnxprune.coupling.groups import Group
from onnxprune.evaluation import predictor
from onnxprune.execution.inputs import draw, inputs_of
from onnxprune.model import load_model
from onnxprune.plan.select import choose_units
from onnxprune.sensitivity.masked import MaskedRuns, Unmaskable
from onnxprune.surgery import apply
from onnxprune.verification.compare import compare

FIXTURES = Path(__file__).parents[2] / "fixtures"


def chosen(coupling: Coupling, group: Group, seed: int) -> np.ndarray:
    """Half of a group's units, at random."""
    rng = np.random.default_rng(seed)
    scores = {own.name: rng.random(own.size) for own in coupling.structure.groups}
    kept = choose_units(coupling.structure, scores, {group.name: max(1, group.size // 2)})
    return kept.get(group.name, np.arange(group.size))


def both_ways(coupling: Coupling, seed: int = 0) -> Counter[str]:
    """How many groups agree with surgery, and why others cannot be masked."""
    feed = draw(inputs_of(coupling), (2, 16), seed=seed)
    found: Counter[str] = Counter()
    for group in coupling.structure.groups:
        if group.held:
            continue
        kept = chosen(coupling, group, seed)
        try:
            masked = MaskedRuns(coupling, group, threads=1).keeping(kept)(feed)
        except Unmaskable as exc:
            found[str(exc)] += 1
            continue
        pruned = predictor(apply(coupling, {group.name: kept}).model, threads=1)(feed)
        difference = compare(pruned, masked)
        assert difference.error < 1e-4, (group.name, difference)
        found["equal"] += 1
    return found


@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed: int) -> None:
    found = both_ways(couple(load_model(random_graph(seed))), seed)
    assert found["equal"] > 0
    assert set(found) <= {"equal", "a statistic is taken over it"}


@pytest.mark.parametrize("name", ["mlp", "vgg", "resnet", "mobilenet"])
def test_fixtures(name: str) -> None:
    coupling = couple(load_model(FIXTURES / f"{name}_fashion.onnx"))
    prunable = sum(not group.held for group in coupling.structure.groups)
    assert both_ways(coupling) == {"equal": prunable}


def test_a_file_with_a_fixed_batch_takes_any_number_of_samples() -> None:
    proto = network()
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 3
    coupling = couple(load_model(proto))
    images = np.random.default_rng(0).standard_normal((7, 3, 8, 8)).astype(np.float32)
    for group in coupling.structure.groups:
        kept = chosen(coupling, group, 0)
        masked = MaskedRuns(coupling, group).keeping(kept)({"image": images})
        pruned = predictor(apply(coupling, {group.name: kept}).model)({"image": images})
        assert masked["logits"].shape == (7, 10)
        np.testing.assert_allclose(masked["logits"], pruned["logits"], rtol=1e-3, atol=1e-3)


def counted(proto: ModelProto) -> tuple[MaskedRuns, list[int]]:
    """Runs of the first group, and the numbers of samples that the part in front was asked for."""
    coupling = couple(load_model(proto))
    runs = MaskedRuns(coupling, coupling.structure.groups[0])
    calls: list[int] = []
    inner = runs._prefix.run
    runs._prefix.run = lambda feed: calls.append(len(feed["image"])) or inner(feed)  # type: ignore[method-assign]
    return runs, calls


def test_what_lies_in_front_runs_once_for_all_choices() -> None:
    runs, calls = counted(network())
    feed = {"image": np.random.default_rng(0).standard_normal((5, 3, 8, 8)).astype(np.float32)}
    predicts = [runs.keeping(np.arange(count)) for count in (4, 8, 16)]
    outputs = [predict(feed)["logits"] for predict in predicts]
    assert calls == [5]
    assert not np.allclose(outputs[0], outputs[1])
    predicts[0]({"image": feed["image"].copy()})
    assert calls == [5, 5]
