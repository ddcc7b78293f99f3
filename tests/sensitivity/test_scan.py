"""Whole scans: their figures, their memory, and what an interrupt leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from onnx import helper
from scans import IMAGES, Example, example, kept_at
from small_networks import network

from onnxprune.calibration import ArraySamples
from onnxprune.evaluation import evaluate
from onnxprune.evaluation.evaluate import BATCH
from onnxprune.sensitivity import HeldSamples, Sensitivity, digest_of
from onnxprune.surgery import apply


def plainly(own: Example, group: str, ratio: float) -> dict[str, float]:
    """The same point by surgery and a plain evaluation."""
    kept = kept_at(own.coupling, ratio)[group]
    model = apply(own.coupling, {group: kept}).model
    found = evaluate(model, own.samples, teacher=own.coupling.model)
    return {name: figure.value for name, figure in found.figures.items()}


@pytest.mark.parametrize("labelled", [True, False])
def test_every_point_is_what_surgery_and_evaluation_give(labelled: bool) -> None:
    own = example(labelled=labelled)
    baseline, rows = own.scan.run(own.groups)
    assert baseline["agreement"] == 1
    assert [row.group for row in rows] == ["conv1", "conv2"]
    for row in rows:
        assert row.how == "masked"
        for point in row.points:
            found = {name: figure.value for name, figure in point.figures.items()}
            wanted = plainly(own, row.group, point.ratio)
            assert found == pytest.approx(wanted, rel=1e-3)
            assert ("accuracy" in found) == labelled


def test_costs_and_counts() -> None:
    own = example(ratios=(0.5,))
    _, (first, second) = own.scan.run(own.groups)
    assert [first.channels, second.channels] == [32, 64]
    assert [row.points[0].kept for row in (first, second)] == [16, 32]
    assert first.macs > 0.99  # both convolutions read or write it
    assert second.macs == pytest.approx(1 - 3 / 67, abs=0.01)
    assert first.points[0].macs == pytest.approx(0.5, abs=0.01)
    assert first.layers == ("conv1",)
    assert first.weight == "conv1.weight"


def norm_network():
    """Channels that a LayerNormalization takes its mean over: masks are no removal there."""
    model = network()
    nodes = list(model.graph.node)
    flat = next(i for i, node in enumerate(nodes) if node.op_type == "Flatten")
    norm = helper.make_node("LayerNormalization", ["f", "gamma", "beta"], ["g"], name="norm", axis=-1)
    nodes[flat + 1].input[0] = "g"
    nodes.insert(flat + 1, norm)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for name, value in (("gamma", 1.0), ("beta", 0.1)):
        model.graph.initializer.append(helper.make_tensor(name, 1, [64], [value] * 64))
    return model


def test_groups_with_a_statistic_are_really_pruned() -> None:
    own = example(norm_network(), ratios=(0.5,))
    _, (first, second) = own.scan.run(own.groups)
    assert (first.how, second.how) == ("masked", "pruned")
    assert "statistic" in second.note
    found = {name: figure.value for name, figure in second.points[0].figures.items()}
    assert found == pytest.approx(plainly(own, "conv2", 0.5), rel=1e-5)


def forbid(own: Example, monkeypatch: pytest.MonkeyPatch, *groups: str) -> None:
    """Make every measurement of these groups an interrupt."""
    inner = type(own.scan)._predicts

    def predicts(self, group, choices):
        if group.name in groups:
            raise KeyboardInterrupt
        return inner(self, group, choices)

    monkeypatch.setattr(type(own.scan), "_predicts", predicts)


def test_an_interrupt_keeps_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        first = example(cache=tmp_path)
        forbid(first, patch, "conv2")
        with pytest.raises(KeyboardInterrupt):
            first.scan.run(first.groups)
    second = example(cache=tmp_path)
    forbid(second, monkeypatch, "conv1")
    _, rows = second.scan.run(second.groups)
    monkeypatch.undo()
    fresh = example()
    assert rows == fresh.scan.run(fresh.groups)[1]


def test_a_longer_scan_measures_only_what_is_new(tmp_path: Path) -> None:
    first = example(cache=tmp_path, ratios=(0.25,))
    first.scan.run(first.groups)
    (file,) = tmp_path.iterdir()
    before = json.loads(file.read_text())["points"]
    second = example(cache=tmp_path, ratios=(0.25, 0.75))
    second.scan.run(second.groups)
    after = json.loads(file.read_text())["points"]
    assert {name: len(points) for name, points in after.items()} == {"conv1": 2, "conv2": 2}
    for name, points in before.items():
        assert points.items() <= after[name].items()


def test_another_metric_is_measured_where_it_is_missing(tmp_path: Path) -> None:
    first = example(cache=tmp_path)
    first.scan.run(first.groups)
    second = example(cache=tmp_path, also=("top5",))
    _, rows = second.scan.run(second.groups)
    assert all("top5" in point.figures for row in rows for point in row.points)


OTHERS = {
    "another model": lambda: example(network(seed=1)),
    "no labels": lambda: example(labelled=False),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_differs_has_a_file_of_its_own(case: str) -> None:
    own, other = example(), OTHERS[case]()
    keys = [(digest_of(e.coupling.model), e.samples.digest) for e in (own, other)]
    assert keys[0] != keys[1]


def test_samples_are_known_by_what_they_hold() -> None:
    same = [HeldSamples(ArraySamples({"image": IMAGES.copy()}, description=d), BATCH).digest for d in "ab"]
    assert same[0] == same[1]
    changed = IMAGES.copy()
    changed[-1, -1, -1, -1] += 1
    assert HeldSamples(ArraySamples({"image": changed}), BATCH).digest != same[0]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}', '{"key": {}, "points": []}'])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, content: str) -> None:
    first = example(cache=tmp_path)
    first.scan.run(first.groups)
    (file,) = tmp_path.iterdir()
    whole = file.read_text()
    file.write_text(content)
    second = example(cache=tmp_path)
    second.scan.run(second.groups)
    assert file.read_text() == whole


def test_progress_counts_what_is_left_to_do(tmp_path: Path) -> None:
    told = []
    own = example(cache=tmp_path)
    own.scan.run(own.groups[:1])
    own.scan.run(own.groups, progress=lambda *at: told.append(at))
    assert told[-1] == (100, 100)
    told.clear()
    own.scan.run(own.groups, progress=lambda *at: told.append(at))
    assert told == []


def test_the_result_as_json() -> None:
    own = example()
    baseline, rows = own.scan.run(own.groups)
    found = Sensitivity("accuracy", (0.25, 0.5), baseline, rows, {}, {}).to_dict()
    row = found["groups"][0]
    assert row["drops"][0] == pytest.approx(100 * (0.9 - row["points"][0]["metrics"]["accuracy"]["value"]))
    json.dumps(found)
