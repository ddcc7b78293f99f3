"""The search for a latency, on a network small enough to measure in a second."""

from dataclasses import replace

import numpy as np
import pytest
from small_networks import network

from onnxprune.coupling import couple
from onnxprune.criteria import criterion, score_groups
from onnxprune.errors import TargetError
from onnxprune.model import load_model
from onnxprune.plan import PlanOptions, RatioTarget
from onnxprune.plan.latency import parse_latency
from onnxprune.runtime.latency import Question, layer_table, meet_latency
from onnxprune.runtime.latency.cache import Store, store_for
from onnxprune.runtime.latency.designs import draw_designs, fast_counts

FEED = {"image": np.zeros((1, 3, 8, 8), np.float32)}


@pytest.fixture
def question(tmp_path):
    coupling = couple(load_model(network()))
    scores = score_groups(coupling.structure, coupling.model.constants, criterion("l1"))
    options = PlanOptions(RatioTarget(0.0), align=16)
    return Question(coupling, scores, options, parse_latency("1000s"), cache=tmp_path / "cache", seconds=0.05)


def test_designs_spread_over_the_fast_counts(question):
    found = list(draw_designs(question.coupling, 16, 10, seed=0))
    assert len(found) == 10
    assert found[0].kept == {}
    assert (found[1].shares[:2] == [0.5, 0.25]).all()
    kept = {len(design.kept.get("conv2", range(64))) for design in found}
    assert kept == {16, 32, 48, 64}
    again = draw_designs(question.coupling, 16, 10, seed=0)
    assert all((a.shares == b.shares).all() for a, b in zip(found, again, strict=True))
    assert fast_counts(question.coupling.structure.groups[1], 16, floor=0.5).tolist() == [32, 48, 64]


def test_a_table_is_measured_once(question, tmp_path):
    store = Store(tmp_path / "cache" / "t.json")
    told = []
    first = layer_table(question.coupling, FEED, grid=16, store=store, advance=lambda *d: told.append(d))
    second = layer_table(question.coupling, FEED, grid=16, store=store)
    assert (first.cached, second.cached) == (False, True)
    assert told[-1] == (first.designs, first.designs)
    counts = np.array([[32, 64], [16, 64], [16, 16]])
    assert np.array_equal(first.seconds(counts), second.seconds(counts))
    assert (np.diff(first.seconds(counts)) <= 0).all()
    assert first.to_dict()["nodes"] == len(second.fit.nodes)


@pytest.mark.parametrize("content", ["", "[]", '{"nodes": []}', "no json"])
def test_a_damaged_table_is_measured_again(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_text(content)
    assert Store(path).load() is None


def test_the_cache_knows_architectures_not_weights(question, tmp_path):
    def place(model=question.coupling.model, feed=FEED, grid=16, threads=1):
        return store_for(tmp_path, model, feed, grid=grid, threads=threads)

    assert place() == place(load_model(network(seed=5)))
    others = [
        place(threads=2),
        place(grid=8),
        place(feed={"image": np.zeros((2, 3, 8, 8), np.float32)}),
        place(load_model(network(first="other"))),
    ]
    assert place() not in others


def test_a_bound_that_holds_already_cuts_nothing(question):
    steps = []
    found = meet_latency(question, step=steps.append)
    assert found.target.counts == {"conv1": 32, "conv2": 64}
    assert found.importance == 1.0
    assert found.to_dict()["table"] is None
    assert steps == ["measuring the source"]


def test_a_bound_out_of_reach_is_refused_with_what_was_measured(question):
    with pytest.raises(TargetError, match="measured at") as caught:
        meet_latency(replace(question, target=parse_latency("1us")), step=lambda _: None)
    assert "--latency" in caught.value.hint


def test_a_bound_is_met_with_fewer_channels(question):
    found = meet_latency(replace(question, target=parse_latency("0.8x")), step=lambda _: None)
    counts = [found.target.counts[name] for name in ("conv1", "conv2")]
    assert counts < [32, 64]
    assert all(count % 16 == 0 for count in counts)
    assert list(question.cache.glob("layers-*.json"))
    told = found.to_dict()
    assert told["ratio"] <= 0.8 * 1.05
    assert 0 < told["importance"] < 1
    assert set(told["models"]) == {"source", "pruned"}
    assert told["trials"] >= 1


def test_what_is_excluded_stays_whole(question):
    options = replace(question.options, exclude=("conv2",))
    found = meet_latency(
        replace(question, target=parse_latency("0.9x"), options=options), step=lambda _: None
    )
    assert found.target.counts["conv2"] == 64
