"""Arrays from files: the right ones, in bounded memory, and clear words where they are not there."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from takers import FLOAT, fed, image_taker, labelled, pixels, taker

from onnxprune.calibration import ArraySamples, notes_of, open_samples
from onnxprune.calibration.npy import NpzFile
from onnxprune.errors import InputError, UsageError

MB = 1 << 20
FLAT = image_taker("n", 4)
X = np.arange(40, dtype=np.float32).reshape(10, 4)
Y = np.arange(10) % 3

NAMES = {
    "as the input": ({"x": X, "image": X + 1}, X + 1, None),
    "training before test": ({"x_test": X[:2], "y_test": Y[:2], "x_train": X, "y_train": Y}, X, Y),
    "labels of the test set are not those of training": ({"x_train": X, "y_test": Y}, X, None),
    "as image sets": ({"test_images": X[:3], "train_images": X, "train_labels": Y}, X, Y),
    "one letter": ({"X": X, "y": Y}, X, Y),
    "the input with labels beside it": ({"image": X, "labels": Y}, X, Y),
    "a usual name with another label": ({"images": X, "y": Y}, X, Y),
    "the only one": ({"whatever": X}, X, None),
    "without names": ({"arr_0": X, "arr_1": Y}, X, Y),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("case", NAMES)
def test_the_arrays_are_found_by_their_names(tmp_path: Path, case: str, save) -> None:
    arrays, samples, labels = NAMES[case]
    save(tmp_path / "a.npz", **arrays)
    found = open_samples(tmp_path / "a.npz", FLAT)
    assert np.array_equal(fed(found)["image"], samples)
    assert found.labelled == (labels is not None)
    if labels is not None:
        assert labelled(found) == labels.tolist()


def test_the_user_names_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x_train=X, y_train=Y, x_test=X[:4] + 1, y_test=Y[:4])
    found = open_samples(f"{path}:x_test,y_test", FLAT)
    assert np.array_equal(fed(found)["image"], X[:4] + 1)
    assert labelled(found) == Y[:4].tolist()
    assert not open_samples(f"{path}:x_test", FLAT).labelled
    assert not open_samples(path, FLAT, labels="none").labelled
    assert found.description == f"{path}: x_test, y_test: all 4 samples"


def test_several_inputs_take_the_arrays_of_their_names(tmp_path: Path) -> None:
    model = taker(("ids", 7, ["n", 4]), ("mask", FLOAT, ["n", 4]))
    path = tmp_path / "a.npz"
    np.savez(path, ids=X.astype(np.int32), mask=X + 1, y=Y)
    found = open_samples(path, model)
    feed = fed(found)
    assert feed["ids"].dtype == np.int64
    assert np.array_equal(feed["ids"], X)
    assert np.array_equal(feed["mask"], X + 1)
    assert found.labelled
    swapped = fed(open_samples(f"{path}:mask,ids", taker(("a", FLOAT, ["n", 4]), ("b", FLOAT, ["n", 4]))))
    assert np.array_equal(swapped["a"], X + 1)


def test_a_single_array_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    assert np.array_equal(fed(open_samples(tmp_path / "a.npy", FLAT))["image"], X)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_subset_keeps_its_order_and_its_labels(tmp_path: Path, save) -> None:
    save(tmp_path / "a.npz", x=np.asfortranarray(X) if save is np.savez else X, y=np.arange(10))
    found = open_samples(tmp_path / "a.npz", FLAT, count=4, seed=3)
    rows = labelled(found)
    assert rows == sorted(rows)
    assert np.array_equal(fed(found)["image"], X[rows])
    assert np.array_equal(fed(found.part(1, 3))["image"], X[rows[1:3]])
    assert labelled(open_samples(tmp_path / "a.npz", FLAT, count=4, seed=3)) == rows
    assert labelled(open_samples(tmp_path / "a.npz", FLAT, count=4, seed=4)) != rows
    assert found.description.endswith("x, y: 4 of 10 samples, seed 3")


def test_batches_of_any_size_hold_the_same(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=pixels(50, 8, 8, 3), y=np.arange(50) % 10)
    steps = "scale=1/255,mean=.4;.5;.6,std=.2;.3;.4"
    found = open_samples(tmp_path / "a.npz", image_taker("n", 3, 8, 8), preprocess=steps, count=33)
    whole = fed(found, 33)["image"]
    assert [len(batch) for batch in found.batches(10)] == [10, 10, 10, 3]
    for size in (1, 7, 32):
        assert np.array_equal(fed(found, size)["image"], whole)
        assert labelled(found, size) == labelled(found, 33)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_large_files_are_read_in_pieces(tmp_path: Path, save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxprune.calibration.tables.HELD_BYTES", 0)
    path, model = tmp_path / "large.npz", image_taker("n", 3, 64, 64)
    save(path, x=np.zeros((4000, 64, 64, 3), np.uint8), y=np.zeros(4000, np.int64))
    assert path.stat().st_size > 40 * MB or save is np.savez_compressed
    tracemalloc.start()
    try:
        found = open_samples(path, model, preprocess="scale=1/255")
        count = sum(len(batch) for batch in found.batches(16))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 4000
    assert peak < 20 * MB  # of 47 MB that are stored, and 188 MB as floats


def test_few_chosen_rows_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=X)
    found = open_samples(path, FLAT, count=5)
    first = fed(found)["image"]
    path.unlink()
    assert np.array_equal(fed(found)["image"], first)


def damaged(path: Path) -> None:
    np.savez_compressed(path, x=np.random.default_rng(0).standard_normal((100, 4)))
    data = bytearray(path.read_bytes())
    data[200:900] = bytes(700)
    path.write_bytes(data)


def unrelated(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


FILES = {
    "no zip": (lambda path: path.write_bytes(b"hello"), "", "cannot be read"),
    "cut off": (
        lambda path: (np.savez(path, x=X), path.write_bytes(path.read_bytes()[:300])),
        "",
        "cannot be read",
    ),
    "damaged": (damaged, "", "cannot be read"),
    "without arrays": (unrelated, "", "no array"),
    "other names": (lambda path: np.savez(path, a=X, b=Y), "", "It has a float32\\[10, 4\\], b"),
    "no such array": (lambda path: np.savez(path, x=X), ":z", "no array 'z'"),
    "too many names": (lambda path: np.savez(path, x=X, y=Y), ":x,y,y", "names 3 arrays"),
    "no samples": (lambda path: np.savez(path, x=X[:0]), "", "no samples"),
    "a number": (lambda path: np.savez(path, x=np.float32(1)), "", "no samples"),
    "objects": (lambda path: np.savez(path, x=np.array([X, None], object)), "", "Python objects"),
    "different lengths": (lambda path: np.savez(path, x=X, y=Y[:3]), "", "'x' 10, 'y' 3"),
    "text": (lambda path: np.savez(path, x=np.array(["a", "b"])), "", "no numbers"),
    "NaN": (
        lambda path: np.savez(path, x=np.where(X == 17, np.nan, X)),
        "",
        "NaN or infinity, first in sample 4",
    ),
    "labels out of range": (lambda path: np.savez(path, x=X, y=Y + 9), "", "go from 9 to 11.*10 classes"),
    "negative labels": (lambda path: np.savez(path, x=X, y=Y - 1), "", "go from -1"),
    "labels that are none": (lambda path: np.savez(path, x=X, y=X + 0.5), "", "no class indices"),
    "the wrong shape": (
        lambda path: np.savez(path, x=X[:, :3]),
        "",
        "are 3, but the input 'image' of the model takes 4",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_cannot_be_used(tmp_path: Path, case: str) -> None:
    make, names, said = FILES[case]
    make(tmp_path / "a.npz")
    with pytest.raises((InputError, UsageError), match=said):
        fed(open_samples(f"{tmp_path / 'a.npz'}{names}", FLAT))


def test_labels_in_other_forms(tmp_path: Path) -> None:
    for labels in (Y[:, None], np.eye(3)[Y], Y.astype(np.float32), Y.astype(np.uint8)):
        np.savez(tmp_path / "a.npz", x=X, y=labels)
        assert labelled(open_samples(tmp_path / "a.npz", FLAT)) == Y.tolist()


def test_a_single_score_says_nothing_of_classes() -> None:
    assert labelled(open_samples((X, Y), image_taker("n", 4, classes=1))) == Y.tolist()


def test_labels_that_are_required() -> None:
    with pytest.raises(UsageError, match="Labels are needed"):
        open_samples(X, FLAT, labels="required")
    assert labelled(open_samples((X, Y), FLAT, labels="required")) == Y.tolist()


def test_what_is_worth_a_second_look(tmp_path: Path) -> None:
    images = pixels(5, 8, 8, 3)
    model = taker(("image", FLOAT, ["n", 3, 8, 8]), preprocessing="(pixel / 255 - 0.3) / 0.2")
    (note,) = notes_of(open_samples(images, model))
    assert "pixel / 255 - 0.3" in note
    for stated in ("raw", "scale=1/255", "mean=1"):
        assert notes_of(open_samples(images, model, preprocess=stated)) == ()
    assert len(notes_of(open_samples(images, model, preprocess="layout=nchw"))) == 1
    (few,) = notes_of(open_samples(images, model, preprocess="raw", count=9))
    assert "9 samples were asked for" in few
    assert notes_of(ArraySamples({"image": X})) == ()


def test_only_headers_are_read_until_samples_are_wanted(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    header = NpzFile(tmp_path / "a.npz").headers["x"]
    assert (header.shape, header.dtype) == ((10, 4), np.float32)
