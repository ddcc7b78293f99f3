"""Folders of images as samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from takers import FLOAT, fed, image_taker, labelled, pixels, taker

from onnxprune.calibration import notes_of, open_samples
from onnxprune.errors import InputError, UsageError

pillow = pytest.importorskip("PIL.Image")

MODEL = image_taker("n", 3, 6, 8, classes=2)
IMAGES = pixels(5, 6, 8, 3)


def store(folder: Path, *names: str, images: np.ndarray = IMAGES) -> None:
    """The first images under these names, without loss."""
    for name, image in zip(names, images, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(image).save(folder / name)


def test_class_folders_become_labels(tmp_path: Path) -> None:
    store(tmp_path, "cat/2.png", "cat/10.png", "dog/a.PNG", "dog/.hidden.png")
    (tmp_path / "dog" / "notes.txt").write_text("no image")
    (tmp_path / "empty").mkdir()
    found = open_samples(tmp_path, MODEL, preprocess="raw")
    assert labelled(found) == [0, 0, 1]
    assert np.array_equal(fed(found)["image"], IMAGES[[1, 0, 2]].transpose(0, 3, 1, 2))
    assert found.description == f"{tmp_path}: all 3 samples"
    assert not open_samples(tmp_path, MODEL, labels="none").labelled


def test_numbers_of_class_folders_are_the_classes(tmp_path: Path) -> None:
    store(tmp_path, "7/a.png", "10/a.png", "9/a.png")
    assert labelled(open_samples(tmp_path, image_taker("n", 6, 8, 3, classes=11))) == [7, 9, 10]
    with pytest.raises(InputError, match="7 to 10, but the model has 5"):
        open_samples(tmp_path, image_taker("n", 6, 8, 3, classes=5))


def test_folders_that_do_not_match_the_classes(tmp_path: Path) -> None:
    store(tmp_path, "cat/a.png", "dog/a.png")
    model = image_taker("n", 3, 6, 8, classes=1000)
    found = open_samples(tmp_path, model, preprocess="raw")
    assert not found.labelled
    assert "2 class folders do not match the 1000 classes" in notes_of(found)[0]
    assert notes_of(open_samples(tmp_path, model, preprocess="raw", labels="none")) == ()
    with pytest.raises(UsageError, match="do not match the 1000 classes"):
        open_samples(tmp_path, model, labels="required")


def test_a_flat_folder_has_no_labels(tmp_path: Path) -> None:
    store(tmp_path, "b.png", "a.bmp")
    found = open_samples(tmp_path, MODEL, preprocess="raw")
    assert not found.labelled
    assert notes_of(found) == ()
    assert np.array_equal(fed(found)["image"], IMAGES[[1, 0]].transpose(0, 3, 1, 2))


def test_the_model_decides_on_colour(tmp_path: Path) -> None:
    store(tmp_path, "a.png", "b.png")
    gray = np.stack([np.asarray(pillow.fromarray(image).convert("L")) for image in IMAGES[:2]])
    assert np.array_equal(fed(open_samples(tmp_path, image_taker("n", 1, 6, 8)))["image"][:, 0], gray)
    assert fed(open_samples(tmp_path, image_taker("n", 6, 8, 4)))["image"].shape == (2, 6, 8, 4)
    turned = fed(open_samples(tmp_path, MODEL, preprocess="channels=bgr"))["image"]
    assert np.array_equal(turned, IMAGES[:2, ..., ::-1].transpose(0, 3, 1, 2))
    open_model = image_taker("n", "c", "h", "w")
    assert fed(open_samples(tmp_path, open_model, preprocess="layout=nhwc"))["image"].shape == (2, 6, 8, 3)
    with pytest.raises(UsageError, match="where its channels are"):
        open_samples(tmp_path, open_model)


def test_the_usual_way_of_imagenet(tmp_path: Path) -> None:
    store(tmp_path, "a.png", images=pixels(1, 300, 400, 3))
    found = fed(open_samples(tmp_path, image_taker("n", 3, 224, 224), preprocess="imagenet"))["image"]
    image = pillow.fromarray(pixels(1, 300, 400, 3)[0]).resize((341, 256), pillow.Resampling.BILINEAR)
    wanted = np.asarray(image)[16:240, 58:282] / 255
    wanted = (wanted - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found[0].transpose(1, 2, 0), wanted, rtol=1e-4, atol=1e-5)


def test_images_of_several_sizes(tmp_path: Path) -> None:
    store(tmp_path, "a.png")
    store(tmp_path, "b.png", images=pixels(1, 9, 9, 3))
    with pytest.raises(InputError, match=r"b.png' is 9x9x3, and the first image .*a.png' is 6x8x3"):
        fed(open_samples(tmp_path, MODEL))
    sizes = fed(open_samples(tmp_path, MODEL, preprocess="resize=8,crop=6x8"))["image"].shape
    assert sizes == (2, 3, 6, 8)


def make_broken(folder: Path) -> None:
    store(folder, "a.png")
    (folder / "b.jpg").write_bytes(b"no image")


BAD = {
    "empty": (lambda folder: None, MODEL, "holds no images"),
    "one level too high": (
        lambda folder: store(folder, "train/cat/a.png"),
        MODEL,
        "Did you mean --data .*train",
    ),
    "images in two places": (lambda folder: store(folder, "a.png", "cat/b.png"), MODEL, "subfolder 'cat'"),
    "broken": (make_broken, MODEL, "b.jpg' cannot be read"),
    "another size": (
        lambda folder: store(folder, "a.png"),
        image_taker("n", 3, 224, 224),
        "Add resize=224x224",
    ),
    "several inputs": (
        lambda folder: store(folder, "a.png"),
        taker(("a", FLOAT, ["n", 3, 6, 8]), ("b", FLOAT, ["n", 2])),
        "2: a, b",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_folders_that_cannot_be_used(tmp_path: Path, case: str) -> None:
    make, model, said = BAD[case]
    make(tmp_path)
    with pytest.raises((InputError, UsageError), match=said):
        fed(open_samples(tmp_path, model))


def test_without_pillow(tmp_path: Path) -> None:
    store(tmp_path, "a.png")
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "import numpy as np\n"
        "from takers import image_taker\n"
        "from onnxprune import MissingExtraError, open_samples\n"
        "images = np.zeros((2, 6, 8, 3), np.uint8)\n"
        "for given, steps in ((sys.argv[1], None), (images, 'resize=4')):\n"
        "    try:\n"
        "        open_samples(given, image_taker('n', 3, 6, 8), preprocess=steps)\n"
        "    except MissingExtraError as exc:\n"
        "        print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.count('pip install "onnxprune[images]"') == 2, done.stderr
