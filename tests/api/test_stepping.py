"""Pruning in steps, with and without training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from small_networks import network

import onnxprune
from onnxprune.api.holding import Shares
from onnxprune.api.job import open_job
from onnxprune.api.settings import Settings
from onnxprune.api.training_data import open_training
from onnxprune.calibration import ArraySamples
from onnxprune.errors import UsageError
from onnxprune.evaluation import predictor
from onnxprune.training import TrainSettings

IMAGES = np.random.default_rng(1).standard_normal((260, 3, 8, 8)).astype(np.float32)
PLAIN = {"criterion": "l1", "repair": "none", "threads": 1}
WITH_TORCH = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
ROUGH = {"batch": 40, "lr": 0.005, "augment": "none", "threads": 1}


def labels() -> np.ndarray:
    """What the network says."""
    found = predictor(onnxprune.load_model(network()))({"image": IMAGES})
    return np.asarray(next(iter(found.values()))).argmax(axis=1)


@pytest.fixture(scope="module")
def labelled() -> tuple[np.ndarray, np.ndarray]:
    return IMAGES, labels()


def same(one: onnxprune.PruneResult, other: onnxprune.PruneResult) -> bool:
    return one.model.to_proto().SerializeToString() == other.model.to_proto().SerializeToString()


@pytest.mark.parametrize("schedule", ["linear", "geometric", "layerwise"])
def test_steps_end_at_the_counts_of_one(schedule: str, tmp_path: Path) -> None:
    source = onnxprune.load_model(network())
    once = onnxprune.prune(source, ratio=0.5, **PLAIN).report
    path = tmp_path / "small.onnx"
    steps = None if schedule == "layerwise" else 3
    result = onnxprune.prune(source, ratio=0.5, steps=steps, step_schedule=schedule, output=path, **PLAIN)
    report = result.report
    assert report.totals["macs"] == once.totals["macs"]
    assert [row.channels for row in report.layers] == [row.channels for row in once.layers]
    assert len(report.steps) == (2 if schedule == "layerwise" else 3)
    left = [row["macs"][1] for row in report.steps]
    assert left == sorted(left, reverse=True)
    assert all(row["verification"]["passed"] for row in report.steps)
    checked = onnxprune.verify(source, path, report.to_dict())
    assert checked.passed
    assert not checked.notes  # every value is the source's, bit for bit


def test_one_step_is_a_plain_run() -> None:
    one, plain = (onnxprune.prune(network(), ratio=0.4, **more, **PLAIN) for more in ({"steps": 1}, {}))
    assert same(one, plain)
    assert one.report.steps == ()


def test_units_are_scored_anew_at_every_step(labelled: tuple[np.ndarray, np.ndarray]) -> None:
    """Without what has gone, redundancy is another one."""
    given = {"data": IMAGES, "criterion": "correlation", "repair": "bias", "samples": 60, "threads": 1}
    once, steps = (
        onnxprune.prune(network(), ratio=0.6, align="off", steps=n, **given).report for n in (1, 4)
    )
    assert once.totals["macs"] == steps.totals["macs"]
    assert once.cuts != steps.cuts
    assert all(row["repair"] == "bias" for row in steps.steps)
    assert list(steps.steps[0]["accuracy"]) == ["after_cut", "after_repair"]
    assert "accuracy" not in steps.steps[-1]  # these are the report's own


def test_pipelines_and_budgets_go_in_steps() -> None:
    given = {"data": IMAGES, "samples": 60, "threads": 1, "repair": "none"}
    report = onnxprune.prune(
        network(), macs="0.5x", criterion="entropy:0.3", then="correlation", steps=2, **given
    ).report
    assert report.totals["macs"][1] <= 0.5 * report.totals["macs"][0]
    assert report.missed == ()
    for row in report.layers:
        assert sum(row.removed_by) == row.channels[0] - row.channels[1]


@WITH_TORCH
def test_training_wins_back_what_a_cut_lost(labelled: tuple[np.ndarray, np.ndarray]) -> None:
    result = onnxprune.prune(
        network(), ratio=0.5, data=labelled, samples=60, holdout=60, finetune={"epochs": 3, **ROUGH}, **PLAIN
    )
    report = result.report
    assert list(report.accuracy["stages"]) == ["before", "after_cut", "after_training"]
    (stage,) = report.training
    assert (stage["stage"], stage["metric"], len(stage["history"])) == ("training", "accuracy", 4)
    assert stage["best"] > 0
    cut, trained = (
        report.accuracy["stages"][s]["log_loss"]["value"] for s in ("after_cut", "after_training")
    )
    assert trained < cut
    assert report.settings["finetune"]["epochs"] == 3
    assert report.verification["masked_equivalence"]["passed"]
    claims = onnxprune.report.claims(report.to_dict())
    assert (claims.repaired, claims.exact, claims.lossless) == (True, False, False)


@WITH_TORCH
def test_a_stopped_run_goes_on_to_the_same_bytes(
    labelled: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    given = {"ratio": 0.5, "data": labelled, "samples": 60, "steps": 2, "finetune": {"epochs": 1, **ROUGH}}
    told: list[str] = []

    def stopping(step: str) -> None:
        told.append(step)
        if step == "step 2 of 2: training":
            raise KeyboardInterrupt

    whole = onnxprune.prune(network(), run_folder=tmp_path / "whole", **given, **PLAIN)
    folder = {"run_folder": tmp_path / "run"}
    with pytest.raises(KeyboardInterrupt):
        onnxprune.prune(network(), progress=stopping, **folder, **given, **PLAIN)
    assert "step 1 of 2: training" in told
    told.clear()
    again = onnxprune.prune(network(), progress=told.append, **folder, **given, **PLAIN)
    assert not any(step.startswith("step 1 of 2") for step in told)
    assert same(whole, again)
    left = [
        {k: v for k, v in run.report.to_dict().items() if k not in ("training", "steps")}
        for run in (whole, again)
    ]
    assert left[0] == left[1]
    assert [stage["best"] for stage in whole.report.training] == [s["best"] for s in again.report.training]
    other = onnxprune.prune(network(), **folder, **{**given, "ratio": 0.25}, **PLAIN)
    assert other.report.totals["macs"][1] > whole.report.totals["macs"][1]
    assert len([path for path in (tmp_path / "run").iterdir() if path.is_dir()]) == 2


def test_samples_held_back_are_not_trained_on(tmp_path: Path) -> None:
    """Whatever the names and the order of the training data."""
    model = onnxprune.load_model(network())
    held = ArraySamples({"image": IMAGES[40:100]})
    np.savez(tmp_path / "other.npz", images=IMAGES[::-1])
    for own in ({"train_data": f"{tmp_path / 'other.npz'}:images"}, {}):
        job = open_job(Settings(ratio=0.5, data=IMAGES, training=TrainSettings(epochs=1), **own))
        found = open_training(job, model, Shares(held=held), lambda _: None)
        assert found.count == len(IMAGES) - 60
        (batch,) = found.batches(1000)
        fed = {row.tobytes() for row in batch.feed["image"]}
        assert not fed & {row.tobytes() for row in IMAGES[40:100]}
    with pytest.raises(UsageError, match="none are left to train on"):
        open_training(job, model, Shares(held=ArraySamples({"image": IMAGES})), lambda _: None)


@WITH_TORCH
@pytest.mark.parametrize("method", ["group_lasso", "growing"])
def test_sparsity_before_the_cut(method: str) -> None:
    given = {"finetune": {"epochs": 0, "swa": 0.5, **ROUGH}, "sparsity": method, "sparsity_epochs": 2}
    result = onnxprune.prune(network(), ratio=0.5, data=IMAGES, samples=60, **given, **PLAIN)
    (stage,) = result.report.training
    assert (stage["stage"], stage["best"]) == ("sparsity", 2)
    assert stage["account"]["penalty"]["method"] == method
    assert (stage["account"]["settings"]["ema"], stage["account"]["settings"]["swa"]) == (0.0, 0.0), (
        "an average would undo what the penalty has brought about at the end"
    )
    assert (
        result.report.totals["macs"] == onnxprune.prune(network(), ratio=0.5, **PLAIN).report.totals["macs"]
    )


def test_nothing_is_trained_where_nothing_goes() -> None:
    report = onnxprune.prune(network(), macs="2x", data=IMAGES, finetune=1, **PLAIN).report
    assert report.training == ()
    assert any("nothing was trained" in text for text in report.warnings)


WRONG = [
    ({"steps": 0}, "--steps 0"),
    ({"steps": 2, "step_schedule": "cubic"}, "cubic"),
    ({"finetune": -1, "data": IMAGES}, "--epochs -1"),
    ({"finetune": {"rate": 1}, "data": IMAGES}, "rate"),
    ({"finetune": 1}, "needs samples"),
    ({"train_data": IMAGES}, "--train-data is about training"),
    ({"sparsity": "lasso", "data": IMAGES}, "lasso"),
    ({"sparsity_strength": 1.0}, "--sparsity-strength"),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_what_makes_no_sense(given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        onnxprune.prune(network(), ratio=0.5, **given)
