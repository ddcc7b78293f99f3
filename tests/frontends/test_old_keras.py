"""Files of tf.keras 2."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from onnxprune.errors import InputError
from onnxprune.frontends import convert
from onnxprune.frontends.keras_files import load

for module in ("tensorflow", "keras", "tf2onnx"):
    pytest.importorskip(module)
pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]

SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", "/nonexistent")) / "models"
PARAMETERS = {
    "dcase2021_passive_C1.h5": 42_056,
    "dcase2021_passive_C123.h5": 24_056,
    "mlperf_resnet8_cifar10.h5": 78_666,
}


@pytest.mark.shared
@pytest.mark.parametrize("name", PARAMETERS)
def test_published_files_load_and_convert(name: str):
    from matrix import run

    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} is absent")
    model = load(SHARED / name)
    assert model.count_params() == PARAMETERS[name]
    inputs = np.random.default_rng(0).standard_normal((2, *model.inputs[0].shape[1:])).astype(np.float32)
    got = run(convert(SHARED / name), inputs)
    np.testing.assert_allclose(got, np.asarray(model(inputs)), atol=1e-5)


@pytest.mark.shared
def test_a_published_tflite_file_converts():
    from matrix import run

    path = SHARED / "mlperf_resnet8_cifar10.tflite"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    inputs = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    twin = run(convert(path.with_suffix(".h5")), inputs)
    np.testing.assert_allclose(run(convert(path), inputs), twin, atol=1e-4)


@pytest.fixture(scope="module")
def old():
    return pytest.importorskip("tf_keras")


@pytest.fixture(scope="module")
def models(old):
    layers = old.layers
    image = layers.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, name="block/conv")(image))
    x = layers.SeparableConv2D(6, 3)(layers.Conv2DTranspose(5, 3)(x))
    functional = old.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    first = layers.Conv2D(8, 3, input_shape=(16, 16, 3))
    plain = [layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    return {"functional": functional, "sequential": old.Sequential([first, *plain])}


@pytest.mark.parametrize("suffix", [".h5", ".keras", ""])
@pytest.mark.parametrize("kind", ["functional", "sequential"])
def test_models_of_keras_2_convert(models, kind: str, suffix: str, tmp_path: Path):
    from matrix import run

    path = tmp_path / f"model{suffix}"
    models[kind].save(path)
    inputs = np.random.default_rng(0).standard_normal((2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(run(convert(path), inputs), np.asarray(models[kind](inputs)), atol=1e-5)
    np.testing.assert_allclose(
        run(convert(models[kind]), inputs), np.asarray(models[kind](inputs)), atol=1e-5
    )


def test_raw_operations_between_layers_are_told(old, tmp_path: Path):
    image = old.layers.Input((8,))
    model = old.Model(image, old.layers.Dense(3)(image) + 1.0)
    model.save(tmp_path / "model.h5")
    with pytest.raises(InputError, match=r"only tf\.keras 2 reads them") as caught:
        convert(tmp_path / "model.h5")
    assert "tf_keras" in caught.value.hint
