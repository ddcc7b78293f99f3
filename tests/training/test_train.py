"""Training a small network: what it learns from, what it returns, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_networks import network
from small_tasks import INPUT, outputs, pruned, samples, source, weights

import onnxprune
from onnxprune.calibration import ArraySamples
from onnxprune.errors import InputError, UsageError
from onnxprune.training import TrainSettings, forget, train

pytestmark = pytest.mark.frontends

EVERYTHING = {"mixup": 0.2, "cutmix": 1.0, "mirror": True, "swa": 0.5}
"""All that needs a state, or draws."""

QUICK = TrainSettings(epochs=4, batch=32, lr=0.01, temperature=2.0)


def test_a_teacher_wins_back_what_was_lost() -> None:
    model, teacher = pruned(), source()
    found = train(model, samples(384), QUICK, teacher=teacher)
    assert found.metric == "accuracy"
    assert [epoch.number for epoch in found.history] == [0, 1, 2, 3, 4]
    assert found.best > 0
    assert found.history[found.best].metric > found.history[0].metric + 0.2
    held = samples(256, seed=1)
    (batch,) = held.batches(256)
    hits = [(outputs(m, batch.feed[INPUT]).argmax(1) == batch.labels).mean() for m in (model, found.model)]
    assert hits[1] > hits[0] + 0.2
    assert {k: v.shape for k, v in weights(found.model).items()} == {
        k: v.shape for k, v in weights(model).items()
    }


def test_without_labels_agreement_is_validated() -> None:
    found = train(pruned(), samples(256, labelled=False), QUICK, teacher=source())
    assert found.metric == "agreement"
    assert found.account["distill"] == 1.0
    assert found.history[found.best].metric > found.history[0].metric


def test_labels_alone_and_adamw() -> None:
    own = replace(QUICK, optimizer="adamw", schedule="onecycle", lr=3e-3, clip=1.0, label_smoothing=0.1)
    found = train(pruned(), samples(256), own)
    assert found.history[found.best].metric > found.history[0].metric


def test_the_start_is_returned_where_nothing_is_better() -> None:
    model = source()
    found = train(model, samples(128), replace(QUICK, epochs=1, lr=10.0, ema=0.0))
    assert found.best == 0
    assert found.model is model
    assert "as it was" in " ".join(found.notes)


def test_the_last_epoch_is_returned_where_that_is_asked_for() -> None:
    model = source()
    found = train(model, samples(128), replace(QUICK, epochs=2, lr=10.0, ema=0.0, keep="last"))
    assert found.best == 2
    assert found.history[2].metric < found.history[0].metric
    assert not np.array_equal(*(next(iter(weights(own).values())) for own in (found.model, model)))


def test_no_epochs() -> None:
    model = pruned()
    found = train(model, samples(64), replace(QUICK, epochs=0))
    assert (found.model, found.best, len(found.history)) == (model, 0, 1)


def test_the_same_seed_gives_the_same_bytes() -> None:
    model, data, own = pruned(), samples(128), replace(QUICK, epochs=1.5, augment="cifar", **EVERYTHING)
    first, second = (weights(train(model, data, own, teacher=source()).model) for _ in range(2))
    other = weights(train(model, data, replace(own, seed=1), teacher=source()).model)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("lr", [0.01, 1e30])
def test_what_has_ended_is_found_again_until_it_is_forgotten(tmp_path: Path, lr: float) -> None:
    """So that a process that dies before it has written the result has lost nothing; diverging ends it too."""
    model, data, own = pruned(), samples(128), replace(QUICK, epochs=3, lr=lr)
    first, again = (train(model, data, own, teacher=source(), folder=tmp_path) for _ in range(2))
    assert len(first.history) == (4 if lr < 1 else 2)
    assert [epoch.steps for epoch in again.history] == [epoch.steps for epoch in first.history]
    assert again.account["resumed_at_step"] == first.history[-1].steps
    assert again.notes == first.notes
    found, wanted = weights(again.model), weights(first.model)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    forget(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.csv"}


def test_more_data_than_fits_are_read_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    own = replace(QUICK, epochs=2, batch_norm=False, augment="flip", **EVERYTHING)
    held = train(pruned(), samples(160), own, teacher=source())
    monkeypatch.setattr("onnxprune.training.pool.HELD_BYTES", 50 * 3 * 8 * 8 * 4)
    read = train(pruned(), samples(160), own, teacher=source())
    assert [e.loss for e in held.history[1:]] == [e.loss for e in read.history[1:]]


def test_features_of_other_shape_are_left_out() -> None:
    own = replace(QUICK, epochs=1, features=("a", "f", "scores*"))
    with pytest.raises(UsageError, match="scores"):
        train(pruned(), samples(64), own, teacher=source())
    found = train(pruned(), samples(64), replace(own, features=("a", "f")), teacher=source())
    assert "a, f" in " ".join(found.notes)
    same = train(source(), samples(64), replace(own, features=("a", "f")), teacher=source())
    assert not any("features" in note for note in same.notes)


def test_a_softmax_at_the_end_is_trained_on_its_logits() -> None:
    from onnx import helper

    tail = [helper.make_node("Softmax", ["scores"], ["logits"], name="softmax", axis=1)]
    plain, ended = onnxprune.load_model(network()), onnxprune.load_model(network(tail=tail))
    data = samples(96)
    own = replace(QUICK, epochs=1, lr=0.1, ema=0.0, weight_decay=0.0)
    first, second = train(plain, data, own), train(ended, data, own)
    assert first.history[1].loss == pytest.approx(second.history[1].loss, rel=1e-4)


def test_a_graph_for_a_fixed_batch() -> None:
    proto = network()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    found = train(onnxprune.load_model(proto), samples(64), replace(QUICK, epochs=1))
    assert len(found.history) == 2


def test_a_bound_on_the_batch_that_a_graph_takes() -> None:
    from fixed_batch import fixed_network

    found = train(fixed_network(4), samples(66), replace(QUICK, epochs=1, batch=10, lr=1e-4))
    assert found.account["batch"] == 12
    assert found.account["inserted_batch_norms"] == 0


def test_several_inputs_and_an_output_without_classes() -> None:
    from two_inputs import two_inputs

    rng = np.random.default_rng(0)
    arrays = {n: rng.standard_normal((96, 6)).astype(np.float32) for n in ("left", "right")}
    teacher, model = two_inputs(0), two_inputs(1)
    found = train(model, ArraySamples(arrays), replace(QUICK, lr=0.05, epochs=8), teacher=teacher)
    assert found.metric == "sqnr"
    assert found.history[found.best].metric > found.history[0].metric + 3
    with pytest.raises(UsageError, match="no score"):
        train(model, ArraySamples(arrays, np.zeros(96, np.int64)), QUICK)


def test_a_penalty_is_part_of_the_loss() -> None:
    calls = []

    def penalty(module, step: int, steps: int):  # type: ignore[no-untyped-def]
        calls.append((step, steps))
        return module.get_parameter(module.initializer_names["head.weight"]).abs().sum()

    found = train(source(), samples(64), replace(QUICK, epochs=2, ema=0.0), penalty=penalty)
    plain = train(source(), samples(64), replace(QUICK, epochs=2, ema=0.0))
    assert calls == [(0, 2), (1, 2)]
    assert found.history[1].loss > plain.history[1].loss + 100


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"epochs": -1}, "--epochs"),
        ({"batch": 0}, "--batch"),
        ({"lr": 0.0}, "--lr"),
        ({"lr": float("nan")}, "--lr"),
        ({"optimizer": "adm"}, "adamw"),
        ({"schedule": "cosin"}, "cosine"),
        ({"augment": "flip,crop"}, "crop"),
        ({"distill": 2.0}, "--distill"),
        ({"validation": 1.0}, "--validation"),
    ],
)
def test_settings_are_checked(wrong: dict, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        TrainSettings(**wrong)


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(UsageError, match="no labels"):
        train(source(), samples(64, labelled=False), QUICK)
    with pytest.raises(UsageError, match="validation"):
        train(source(), samples(64), replace(QUICK, validation=0.0))
    with pytest.raises(UsageError, match="CUDA"):
        train(source(), samples(64), replace(QUICK, device="cuda"))
    small = ArraySamples({INPUT: np.zeros((1, 3, 8, 8), np.float32)}, np.zeros(1, np.int64))
    with pytest.raises(UsageError, match="only 1 sample"):
        train(source(), small, QUICK)
    whole = network()
    whole.graph.output[0].type.tensor_type.elem_type = 7
    with pytest.raises((UsageError, InputError)):
        train(onnxprune.load_model(whole), samples(64), QUICK)
