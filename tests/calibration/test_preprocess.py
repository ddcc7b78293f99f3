"""How preprocessing is spelled, and what it makes of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from takers import FLOAT, fed, image_taker, pixels, taker

from onnxprune.calibration import open_samples
from onnxprune.calibration.preprocess import parse_preprocess
from onnxprune.calibration.steps import Steps
from onnxprune.errors import InputError, UsageError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Steps(resize=(256,), crop=(224,), scale=1 / 255, mean=MEAN, std=STD, values_stated=True)
VALUES = Steps(scale=1 / 255, mean=MEAN, std=STD, values_stated=True)

SPELLINGS = {
    "scale=1/255": Steps(scale=1 / 255, values_stated=True),
    "scale=1/255,mean=0.485;0.456;0.406,std=0.229;0.224;0.225": VALUES,
    "scale=1/255, mean=.485 .456 .406, std=.229 .224 .225": VALUES,
    "scale=1/255,mean=0.485,0.456,0.406,std=0.229,0.224,0.225": VALUES,
    "imagenet": IMAGENET,
    "ImageNet,resize=none,crop=off": VALUES,
    "imagenet,crop=299,resize=342": Steps(
        resize=(342,), crop=(299,), scale=1 / 255, mean=MEAN, std=STD, values_stated=True
    ),
    "unit": Steps(scale=1 / 255, values_stated=True),
    "signed": Steps(scale=1 / 127.5, mean=(1.0,), values_stated=True),
    "raw": Steps(values_stated=True),
    "pad=2": Steps(pad=(2,)),
    "resize=240x320,interpolation=bicubic,channels=bgr,layout=nhwc": Steps(
        resize=(240, 320), interpolation="bicubic", channels="bgr", layout="nhwc"
    ),
}


@pytest.mark.parametrize("text", SPELLINGS)
def test_spellings(text: str) -> None:
    assert parse_preprocess(text).common == SPELLINGS[text]


def test_a_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "prep.toml"
    path.write_text('scale = "1/255"\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n')
    assert parse_preprocess(path).common == VALUES
    path.write_text('preset = "imagenet"\ncrop = "none"\nresize = "none"\n[mask]\nscale = 2\n[ids]\n')
    found = parse_preprocess(str(path))
    assert found.common == VALUES
    assert found.by_input == {"mask": Steps(scale=2.0, values_stated=True), "ids": Steps()}
    assert parse_preprocess({"resize": [240, 320]}).common == Steps(resize=(240, 320))
    assert parse_preprocess(None).common is None


MISTAKES = {
    "scal=1": "no key 'scal'",
    "imagnet": "no preset 'imagnet'",
    "scale": "scale= is not understood",
    "scale=x": "scale=x is not understood",
    "scale=1/0": "scale=1/0",
    "scale=inf": "scale=inf",
    "std=0": "std=0",
    "mean=1;2,std=1;2;3": "mean has 2 numbers, std has 3",
    "resize=0": "resize=0",
    "resize=1x2x3": "resize=1x2x3",
    "layout=chw": "no layout 'chw'",
    "channels=red": "no channels 'red'",
    "": "says nothing",
    " , ": "says nothing",
    "nowhere.toml": "cannot be read",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes(text: str) -> None:
    with pytest.raises(UsageError, match=MISTAKES[text]) as caught:
        parse_preprocess(text)
    assert caught.value.hint or text.endswith(".toml")


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("scale: 1")
    with pytest.raises(UsageError, match="no TOML"):
        parse_preprocess(tmp_path / "a.toml")


def made(samples: np.ndarray, model, text: str | None = None) -> np.ndarray:
    """What the only input is fed with."""
    return next(iter(fed(open_samples(samples, model, preprocess=text)).values()))


COLOUR = pixels(4, 6, 8, 3)
GRAY = pixels(4, 6, 8)
FIRST = COLOUR.transpose(0, 3, 1, 2)

LAYOUTS = {
    "channels first": (COLOUR, image_taker("n", 3, 6, 8), None, FIRST),
    "channels last": (COLOUR, image_taker("n", 6, 8, 3), None, COLOUR),
    "already first": (FIRST, image_taker("n", 3, 6, 8), None, FIRST),
    "from first to last": (FIRST, image_taker("n", 6, 8, 3), None, COLOUR),
    "open sizes": (COLOUR, image_taker("n", 3, "h", "w"), None, FIRST),
    "open channels stay": (COLOUR, image_taker("n", "c", "h", "w"), None, COLOUR),
    "open channels as said": (COLOUR, image_taker("n", "c", "h", "w"), "layout=nchw", FIRST),
    "gray first": (GRAY, image_taker("n", 1, 6, 8), None, GRAY[:, None]),
    "gray last": (GRAY, image_taker("n", 6, 8, 1), None, GRAY[..., None]),
    "gray with an axis": (GRAY[:, None], image_taker("n", 6, 8, 1), None, GRAY[..., None]),
    "gray as numbers": (GRAY, image_taker("n", 48), None, GRAY.reshape(4, 48)),
    "colours as numbers": (COLOUR, image_taker("n", 144), "layout=nchw", FIRST.reshape(4, 144)),
    "rows of a sequence": (GRAY, image_taker("n", 6, 8), None, GRAY),
    "one step": (GRAY[:, 0], image_taker("n", 1, 8), None, GRAY[:, :1]),
    "feature maps": (pixels(4, 16, 5, 5), image_taker("n", 16, 5, 5), None, pixels(4, 16, 5, 5)),
    "a batch of one": (GRAY, image_taker(1, 1, 6, 8), None, GRAY[:, None]),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(case: str) -> None:
    samples, model, text, wanted = LAYOUTS[case]
    found = made(samples, model, text)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    assert np.array_equal(found, wanted)


def test_values_are_scaled_by_channel() -> None:
    wanted = (COLOUR / 255 - np.array(MEAN)) / np.array(STD)
    text = "scale=1/255,mean=0.485;0.456;0.406,std=0.229;0.224;0.225"
    for samples in (COLOUR, FIRST):
        for model, axes in (
            (image_taker("n", 6, 8, 3), (0, 1, 2, 3)),
            (image_taker("n", 3, 6, 8), (0, 3, 1, 2)),
        ):
            np.testing.assert_allclose(
                made(samples, model, text), wanted.transpose(axes), rtol=1e-5, atol=1e-6
            )
    np.testing.assert_allclose(
        made(GRAY, image_taker("n", 1, 6, 8), "signed"), GRAY[:, None] / 127.5 - 1, atol=1e-6
    )
    table = np.random.default_rng(0).standard_normal((5, 3))
    found = made(table, image_taker("n", 3), "mean=1;2;3,std=2")
    np.testing.assert_allclose(found, (table - [1, 2, 3]) / 2, rtol=1e-6)


def test_channels() -> None:
    model = image_taker("n", 6, 8, 3)
    assert np.array_equal(made(COLOUR, model, "channels=bgr"), COLOUR[..., ::-1])
    assert np.array_equal(made(GRAY, model, "channels=rgb"), np.repeat(GRAY[..., None], 3, -1))
    clear = np.concatenate([COLOUR, COLOUR[..., :1]], -1)
    assert np.array_equal(made(clear, model, "channels=rgb"), COLOUR)
    gray = made(COLOUR, image_taker("n", 1, 6, 8), "channels=gray")
    assert np.abs(gray[:, 0] - COLOUR @ [0.299, 0.587, 0.114]).max() <= 0.5


def test_crop_and_pad() -> None:
    assert np.array_equal(made(COLOUR, image_taker("n", 5, 5, 3), "crop=5x5"), COLOUR[:, :5, 2:7])
    assert np.array_equal(made(COLOUR, image_taker("n", 2, 8, 3), "crop=2x8"), COLOUR[:, 2:4])
    padded = made(GRAY, image_taker("n", 1, 10, 12), "scale=1/255,mean=.5,pad=2")
    assert np.allclose(padded[:, 0, 0], -0.5)  # black is added before values are scaled
    np.testing.assert_allclose(padded[:, 0, 2:-2, 2:-2], GRAY / 255 - 0.5, atol=1e-6)
    assert made(GRAY, image_taker("n", 1, 8, 8), "pad=1x0").shape == (4, 1, 8, 8)


def test_resize_is_that_of_pillow() -> None:
    image = pytest.importorskip("PIL.Image")
    wanted = np.stack(
        [np.asarray(image.fromarray(x).resize((6, 5), image.Resampling.BILINEAR)) for x in COLOUR]
    )
    for text in ("resize=5x6", "resize=5"):
        assert np.array_equal(made(COLOUR, image_taker("n", 5, 6, 3), text), wanted)
    smooth = made(COLOUR.astype(np.float64), image_taker("n", 5, 6, 3), "resize=5x6")
    assert np.abs(smooth - wanted).max() < 1.01
    tall = made(COLOUR.transpose(0, 2, 1, 3), image_taker("n", 6, 5, 3), "resize=5,interpolation=nearest")
    assert tall.shape == (4, 6, 5, 3)
    small = made(COLOUR.astype(np.int16) * 100, image_taker("n", 5, 6, 3), "resize=5x6")
    assert np.array_equal(small, np.rint(small))


TYPES = {
    "half": (COLOUR, TensorProto.FLOAT16, "scale=1/255", np.float16),
    "double": (COLOUR, TensorProto.DOUBLE, "scale=1/255", np.float64),
    "brain float": (COLOUR, TensorProto.BFLOAT16, "raw", np.float32),
    "bytes": (COLOUR, TensorProto.UINT8, None, np.uint8),
    "shifted bytes": (COLOUR, TensorProto.INT8, "mean=128", np.int8),
    "longer integers": (COLOUR, TensorProto.INT64, None, np.int64),
    "shorter integers": (COLOUR.astype(np.int64), TensorProto.INT32, None, np.int32),
}


@pytest.mark.parametrize("case", TYPES)
def test_types(case: str) -> None:
    samples, kind, text, dtype = TYPES[case]
    found = made(samples, image_taker("n", 6, 8, 3, kind=kind), text)
    assert found.dtype == dtype
    shift = 128 if text == "mean=128" else 0
    assert np.allclose(
        found, COLOUR / 255 if text == "scale=1/255" else COLOUR.astype(int) - shift, atol=1e-3
    )


def test_several_inputs() -> None:
    model = taker(("image", FLOAT, ["n", 3, 6, 8]), ("ids", TensorProto.INT64, ["n", 2]))
    ids = np.arange(8).reshape(4, 2)
    found = fed(open_samples({"image": COLOUR, "ids": ids}, model, preprocess="scale=2"))
    assert np.array_equal(found["image"], FIRST * 2.0)
    assert np.array_equal(found["ids"], ids)
    tables = {"image": {"scale": 3}, "ids": {}}
    assert np.array_equal(
        fed(open_samples({"image": COLOUR, "ids": ids}, model, preprocess=tables))["image"], FIRST * 3.0
    )


TWO = taker(("a", FLOAT, ["n", 6]), ("b", FLOAT, ["n", 6]))

REFUSED = {
    "sizes": (COLOUR, image_taker("n", 3, 5, 5), None, "6x8x3 and become 3x6x8.*takes 3x5x5", "resize=5x5"),
    "colours for gray": (COLOUR, image_taker("n", 1, 6, 8), None, "takes 1x6x8", "channels=gray"),
    "gray for colours": (GRAY, image_taker("n", 6, 8, 3), None, "takes 6x8x3", "channels=rgb"),
    "other numbers": (GRAY, image_taker("n", 47), None, "are 6x8, but.*takes 47", "shape"),
    "colours as numbers": (COLOUR, image_taker("n", 144), None, "takes 144", ""),
    "crop too large": (COLOUR, image_taker("n", 3, 9, 9), "crop=9", "crop=9x9 is larger.*6x8", "resize"),
    "other channels": (
        COLOUR,
        image_taker("n", 3, 6, 8),
        "mean=1;2",
        "for 2 channels.*has 3",
        "one a channel",
    ),
    "pixels of no image": (GRAY[:, 0], image_taker("n", 8), "crop=2", "are for images", "scale"),
    "gray of two": (
        pixels(4, 2, 6, 8),
        image_taker("n", 1, 6, 8),
        "channels=gray",
        "takes 1x6x8|for images",
        "",
    ),
    "floats for integers": (
        GRAY / 2,
        image_taker("n", 6, 8, kind=TensorProto.INT64),
        None,
        "whole numbers",
        "scale",
    ),
    "beyond the type": (GRAY, image_taker("n", 6, 8, kind=TensorProto.INT8), None, "to 2\\d\\d, ", "mean"),
    "which input": ({"a": GRAY[:, :, 0], "b": GRAY[:, :, 0]}, TWO, "scale=2", "which of the inputs", "toml"),
    "no such input": (GRAY, image_taker("n", 6, 8), {"x": {"scale": 2}}, "no input of the model", "image"),
    "several inputs": (GRAY, TWO, None, "2: a, b", "each input"),
    "a missing array": ({"a": GRAY}, TWO, None, "'a', the inputs.*'a', 'b'", "each input"),
    "different lengths": ({"a": GRAY[:, :, 0], "b": GRAY[:2, :, 0]}, TWO, None, "a 4, b 2", "first axis"),
    "text": (np.array(["a"]), image_taker("n", 6), None, "no array of samples", ""),
    "ragged": ([1, 2, 3], image_taker("n", 6), None, "cannot be a list", "--data"),
    "text input": (GRAY, taker(("words", TensorProto.STRING, ["n", 6])), None, "takes no numbers", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit(case: str) -> None:
    samples, model, text, said, hint = REFUSED[case]
    with pytest.raises((InputError, UsageError), match=said) as caught:
        open_samples(samples, model, preprocess=text)
    assert hint in caught.value.hint
