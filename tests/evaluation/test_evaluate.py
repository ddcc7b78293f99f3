"""Whole evaluations of small networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import ModelProto
from small_networks import network, save

from onnxprune.calibration import ArraySamples
from onnxprune.errors import InputError, UsageError
from onnxprune.evaluation import Evaluator, evaluate, predictor
from onnxprune.model import Model, load_model

FIXTURES = Path(__file__).parents[2] / "fixtures"
IMAGES = np.random.default_rng(1).standard_normal((150, 3, 8, 8)).astype(np.float32)


def loaded(proto: ModelProto) -> Model:
    return load_model(proto)


def logits(proto: ModelProto) -> np.ndarray:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGES})[0]


def relabelled(share: float) -> np.ndarray:
    """What the network says, but for a share of the samples."""
    labels = logits(network()).argmax(axis=1)
    labels[: int(share * len(labels))] += 1
    return labels % 10


def fixed(size: int) -> ModelProto:
    """The network with a batch that cannot be chosen."""
    model = network()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    return model


def test_accuracy_and_its_data():
    found = evaluate(loaded(network()), ArraySamples({"image": IMAGES}, relabelled(0.2), description="noise"))
    assert found["accuracy"] == 0.8
    assert tuple(found.figures) == ("accuracy", "balanced_accuracy", "log_loss")
    assert (found.samples, found.data) == (150, "noise")
    assert found.to_dict()["metrics"]["accuracy"]["interval"][0] < 0.8


def test_beside_a_teacher_without_labels():
    student, teacher = network(seed=1), network(seed=2)
    found = evaluate(loaded(student), ArraySamples({"image": IMAGES}), teacher=loaded(teacher))
    own, theirs = logits(student), logits(teacher)
    assert found["agreement"] == (own.argmax(axis=1) == theirs.argmax(axis=1)).mean()
    assert found["sqnr"] == pytest.approx(
        10 * np.log10((theirs**2).sum() / ((own - theirs) ** 2).sum()), abs=1e-3
    )
    assert set(found.figures) == {"agreement", "sqnr"}


@pytest.mark.parametrize("size", [1, 4, 64, 70, 150, 200])
def test_a_file_with_a_batch_of_its_own(size):
    samples = ArraySamples({"image": IMAGES}, relabelled(0.1))
    found = evaluate(loaded(fixed(size)), samples, teacher=loaded(network()))
    assert found["accuracy"] == 0.9
    assert found["agreement"] == 1.0
    assert found["sqnr"] > 100


def test_a_fixture_of_batch_one():
    images = np.random.default_rng(0).standard_normal((30, 1, 28, 28)).astype(np.float32)
    model = load_model(FIXTURES / "mlp_fashion.onnx")
    assert evaluate(model, ArraySamples({"image": images}), ["agreement"], teacher=model)["agreement"] == 1


def test_the_name_of_a_single_input_does_not_matter():
    samples = ArraySamples({"something": IMAGES}, relabelled(0.0))
    assert evaluate(loaded(network()), samples)["accuracy"] == 1.0


def test_progress_is_told():
    told = []
    samples = ArraySamples({"image": IMAGES}, relabelled(0.0))
    evaluate(loaded(network()), samples, progress=lambda *at: told.append(at))
    assert told == [(32, 150), (64, 150), (96, 150), (128, 150), (150, 150)]


def test_the_teacher_runs_once_for_all_models():
    calls = []

    def teacher(feed):
        calls.append(len(feed["image"]))
        return {"logits": feed["image"].mean(axis=(2, 3))}

    def student(feed):
        return {"logits": -feed["image"].mean(axis=(2, 3))}

    evaluator = Evaluator(ArraySamples({"image": IMAGES}), teacher=teacher, batch=100)
    first, second = evaluator.evaluate(student), evaluator.evaluate(student)
    assert first == second
    assert calls == [100, 50]


def two_headed(feed):
    mean = feed["image"].mean(axis=(2, 3))
    return {"boxes": feed["image"], "score": mean[:, :1], "first": mean, "second": -mean}


OUTPUTS = [(None, 1.0), ("first", 1.0), ("second", 0.0)]


@pytest.mark.parametrize(("name", "accuracy"), OUTPUTS)
def test_the_output_with_the_classes(name, accuracy):
    labels = IMAGES.mean(axis=(2, 3)).argmax(axis=1)
    evaluator = Evaluator(ArraySamples({"image": IMAGES}, labels), output=name)
    assert evaluator.evaluate(two_headed)["accuracy"] == accuracy


@pytest.mark.parametrize("name", ["third", "boxes", "score"])
def test_outputs_that_hold_no_classes(name):
    labels = IMAGES.mean(axis=(2, 3)).argmax(axis=1)
    with pytest.raises(UsageError, match=name):
        Evaluator(ArraySamples({"image": IMAGES}, labels), output=name).evaluate(two_headed)


def test_a_model_without_classes_is_compared_only():
    def maps(feed):
        return {"boxes": feed["image"]}

    labels = np.zeros(150, np.int64)
    found = Evaluator(ArraySamples({"image": IMAGES}, labels), teacher=maps).evaluate(maps)
    assert set(found.figures) == {"sqnr"}
    with pytest.raises(UsageError, match="teacher"):
        Evaluator(ArraySamples({"image": IMAGES}, labels)).evaluate(maps)
    with pytest.raises(UsageError, match="accuracy"):
        Evaluator(ArraySamples({"image": IMAGES}, labels), ["accuracy"]).evaluate(maps)


def test_metrics_beside_the_usual_ones():
    labels = IMAGES.mean(axis=(2, 3)).argmax(axis=1)
    evaluator = Evaluator(ArraySamples({"image": IMAGES}, labels), also=["top5", "accuracy"], output="first")
    found = evaluator.evaluate(two_headed)
    assert list(found.figures) == ["accuracy", "balanced_accuracy", "log_loss", "top5"]


REFUSED = {
    "labels that are not there": (None, ["accuracy"], "needs labels"),
    "a teacher that is not there": (None, ["sqnr"], "teacher"),
    "nothing to compare with": (None, None, "Without labels and without a teacher"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_measured(case):
    labels, metrics, said = REFUSED[case]
    with pytest.raises(UsageError, match=said):
        evaluate(loaded(network()), ArraySamples({"image": IMAGES}, labels), metrics)


def test_no_samples():
    with pytest.raises(UsageError, match="no samples"):
        evaluate(loaded(network()), ArraySamples({"image": IMAGES[:0]}, np.zeros(0, np.int64)))


def test_data_that_do_not_fit_the_model(tmp_path):
    path = save(tmp_path, network())
    with pytest.raises(InputError, match=r"model\.onnx.*run"):
        evaluate(load_model(path), ArraySamples({"image": IMAGES[:, :2]}, relabelled(0.0)))


def test_values_inside_the_model():
    run = predictor(loaded(network()), outputs=["b", "logits"])
    found = run({"image": IMAGES[:5]})
    assert found["b"].shape == (5, 32, 8, 8)
    assert found["logits"].shape == (5, 10)
