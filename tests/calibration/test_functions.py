"""Samples that a function of the user's own gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from takers import FLOAT, fed, image_taker, labelled, taker

from onnxprune.calibration import ArraySamples, open_samples
from onnxprune.errors import UsageError

MODEL = image_taker("n", 4)
X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10) % 3

SOURCE = """
import numpy as np
from onnxprune.calibration import ArraySamples, Batch

X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10) % 3
calls = 0

def batches():
    global calls
    calls += 1
    for start in range(0, 10, 3):
        yield X[start : start + 3], Y[start : start + 3]

def plain():
    yield from np.split(X, 5)

def named():
    return ({"image": part} for part in np.split(X, 2))

def loader():
    return [[X[:6], Y[:6]], [X[6:], Y[6:]]]

def whole():
    return {"image": X}, Y

def ready():
    return ArraySamples({"image": X}, Y)

def endless():
    while True:
        yield X

left = [X, X, X[:2]]

def shrinking():
    yield left.pop(0)

def nothing():
    return iter(())

def number():
    return 3

def fails():
    yield X
    raise RuntimeError("no such disk")

def uneven():
    yield X
    yield X[:, :3]

def some_labels():
    yield X, Y
    yield X

def other_name():
    yield {"picture": X}

def with_argument(x):
    yield X

constant = 3
"""


@pytest.fixture(scope="module", autouse=True)
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("functions")
    (folder / "given_samples.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


GIVEN = {"batches": True, "plain": False, "named": False, "loader": True, "whole": True, "ready": True}


@pytest.mark.parametrize("name", GIVEN)
def test_what_a_function_may_give(name: str) -> None:
    found = open_samples(f"given_samples:{name}", MODEL)
    assert np.array_equal(fed(found)["image"], X)
    assert np.array_equal(fed(found, 4)["image"], X)
    assert found.labelled == GIVEN[name]
    if found.labelled:
        assert labelled(found) == Y.tolist()
        assert labelled(found.part(2, 5)) == Y[2:5].tolist()


def test_steps_apply_to_what_it_gives() -> None:
    assert np.array_equal(
        fed(open_samples("given_samples:plain", MODEL, preprocess="scale=2"))["image"], X * 2
    )


def test_no_more_is_asked_for_than_is_wanted() -> None:
    found = open_samples("given_samples:endless", MODEL, count=25)
    assert found.count == 25
    assert np.array_equal(fed(found)["image"], np.concatenate([X, X, X[:5]]))
    assert labelled(open_samples("given_samples:batches", MODEL, count=4)) == Y[:4].tolist()


def test_many_samples_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import given_samples

    monkeypatch.setattr("onnxprune.calibration.tables.HELD_BYTES", 50)
    found = open_samples("given_samples:batches", MODEL)
    before = given_samples.calls
    for size in (1, 4, 10):
        assert np.array_equal(fed(found, size)["image"], X)
        assert labelled(found, size) == Y.tolist()
    assert given_samples.calls > before
    assert np.array_equal(fed(found.take([1, 5, 9]))["image"], X[[1, 5, 9]])
    with pytest.raises(UsageError, match="fewer samples when it is called again"):
        fed(open_samples("given_samples:shrinking", MODEL))


MISTAKES = {
    "given_samples:nothing": "gives no samples",
    "given_samples:number": "failed: TypeError",
    "given_samples:fails": "failed: RuntimeError: no such disk",
    "given_samples:uneven": "different shapes or types",
    "given_samples:some_labels": "some batches only",
    "given_samples:other_name": "'picture', the inputs of the model are 'image'",
    "given_samples:with_argument": "failed: TypeError",
    "given_samples:constant": "is no function",
    "given_samples:absent": "cannot be loaded: AttributeError",
    "given_nothing:x": "cannot be loaded: ModuleNotFoundError",
}


@pytest.mark.parametrize("spec", MISTAKES)
def test_mistakes(spec: str) -> None:
    with pytest.raises(UsageError, match=MISTAKES[spec]):
        open_samples(spec, MODEL)


def test_samples_of_the_users_own_are_fed_as_they_are() -> None:
    given = ArraySamples({"image": X}, Y)
    assert open_samples(given, MODEL) is given
    few = open_samples(given, MODEL, count=4, seed=1)
    assert few.count == 4
    assert labelled(few) == [Y[int(row[0]) // 4] for row in fed(few)["image"]]
    with pytest.raises(UsageError, match="fed as they are"):
        open_samples(given, MODEL, preprocess="raw")


def test_a_model_of_two_inputs() -> None:
    model = taker(("image", FLOAT, ["n", 4]), ("more", FLOAT, ["n", 4]))
    found = open_samples(({"more": X, "image": X + 1}, Y), model)
    assert np.array_equal(fed(found)["image"], X + 1)
    assert labelled(found) == Y.tolist()


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    for spec in (tmp_path / "none.npz", tmp_path / "a.txt", "nowhere"):
        with pytest.raises(Exception, match=r"does not exist|is no \.npz") as caught:
            open_samples(spec, MODEL)
        assert "--data takes an .npz file" in caught.value.hint
