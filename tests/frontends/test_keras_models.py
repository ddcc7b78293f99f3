"""Keras models in memory and in files, SavedModels and TensorFlow Lite."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from onnxprune import prune
from onnxprune.errors import InputError, UsageError
from onnxprune.frontends import convert

for module in ("tensorflow", "keras", "tf2onnx"):
    pytest.importorskip(module)
pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]

IMAGE = np.random.default_rng(0).standard_normal((3, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def keras():
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras runs on another backend here")
    return keras


@pytest.fixture
def small(keras):
    """A Sequential that was never called."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Conv2D(6, 3, name="conv_1"),
            layers.Flatten(),
            layers.Dense(4, name="head"),
        ],
        name="small",
    )


def run(model, *arrays):
    import onnxruntime

    session = onnxruntime.InferenceSession(model.to_proto().SerializeToString())
    return session.run(None, {i.name: a for i, a in zip(session.get_inputs(), arrays, strict=True)})


def names(values) -> list[str]:
    return [value.name for value in values]


def shape(value) -> list[str | int]:
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_a_model_that_was_never_called_is_converted(small):
    model = convert(small)
    np.testing.assert_allclose(run(model, IMAGE)[0], np.asarray(small(IMAGE)), atol=1e-5)


def test_names_are_those_of_the_layers(small):
    graph = convert(small).proto.graph
    assert names(graph.output) == ["head"]
    assert shape(graph.input[0]) == ["batch", 16, 16, 3]
    assert shape(graph.output[0]) == ["batch", 4]
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    assert [name.rpartition("/")[0] for name in convolutions] == ["small/conv", "small/conv_1"]
    weights = [tensor.name for tensor in graph.initializer if len(tensor.dims) > 1]
    assert all(name.startswith("small/") for name in weights)


def test_two_conversions_are_one(small):
    assert convert(small).sha256 == convert(small).sha256


@pytest.mark.slow
def test_conversions_in_other_processes_are_the_same(small, tmp_path: Path):
    path = tmp_path / "small.keras"
    small.save(path)
    code = f"from onnxprune.frontends import convert; print(convert({str(path)!r}).sha256)"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(seed), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert found == {f"{convert(path).sha256}\n"}


def test_several_inputs_and_outputs_keep_their_order(keras):
    left, right = keras.Input((8,), name="left"), keras.Input((8,), name="right")
    layers = keras.layers
    model = keras.Model(
        {"left": left, "right": right},
        [layers.Dense(4, name="z")(layers.Add()([left, right])), layers.Dense(2, name="a")(left)],
    )
    first, second = np.random.default_rng(1).standard_normal((2, 3, 8)).astype(np.float32)
    converted = convert(model)
    assert names(converted.proto.graph.input) == ["left", "right"]
    assert names(converted.proto.graph.output) == ["z", "a"]
    for got, want in zip(run(converted, first, second), model({"left": first, "right": second}), strict=True):
        np.testing.assert_allclose(got, np.asarray(want), atol=1e-5)


def test_a_class_of_the_users_own_needs_an_example(keras):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.head = keras.layers.Conv2D(8, 3), keras.layers.Dense(3)

        def call(self, x):
            return self.head(keras.ops.mean(self.conv(x), (1, 2)))

    model = Own()
    with pytest.raises(UsageError, match="does not declare its inputs") as caught:
        convert(model)
    assert "example_inputs=" in caught.value.hint
    converted = convert(model, example_inputs=IMAGE[:1])
    np.testing.assert_allclose(run(converted, IMAGE)[0], np.asarray(model(IMAGE)), atol=1e-5)


def test_models_within_models(keras, small):
    image = keras.Input((16, 16, 3), name="image")
    outer = keras.Model(image, keras.layers.Dense(2)(small(image)), name="outer")
    converted = convert(outer)
    np.testing.assert_allclose(run(converted, IMAGE)[0], np.asarray(outer(IMAGE)), atol=1e-5)
    assert any(node.name.startswith("outer/small/conv_1/") for node in converted.proto.graph.node)


def test_whole_numbers_as_inputs(keras):
    layers = keras.layers
    model = keras.Sequential([keras.Input((7,), dtype="int32"), layers.Embedding(20, 6), layers.LSTM(8)])
    tokens = np.arange(21, dtype=np.int32).reshape(3, 7) % 20
    converted = convert(model)
    assert "LSTM" in [node.op_type for node in converted.proto.graph.node]
    np.testing.assert_allclose(run(converted, tokens)[0], np.asarray(model(tokens)), atol=1e-5)


def test_maps_of_any_size_and_fixed_batches(keras):
    free = keras.Sequential([keras.Input((None, None, 3), name="map"), keras.layers.Conv2D(8, 3, name="c")])
    graph = convert(free).proto.graph
    assert shape(graph.input[0]) == ["batch", "map_dim_1", "map_dim_2", 3]
    fixed = keras.Sequential([keras.Input(batch_shape=(2, 16, 16, 3)), keras.layers.Conv2D(8, 3)])
    assert shape(convert(fixed).proto.graph.input[0]) == [2, 16, 16, 3]


@pytest.mark.parametrize("opset", [13, 18])
def test_the_opset_is_as_asked(small, opset: int):
    assert convert(small, opset=opset).proto.opset_import[0].version == opset


def test_an_opset_that_tf2onnx_does_not_know(small):
    with pytest.raises(UsageError, match="does not write opset 19"):
        convert(small, opset=19)


def test_an_operator_that_onnx_does_not_have_is_told(keras):
    model = keras.Sequential([keras.Input((8,)), keras.layers.Activation(keras.ops.erfinv)])
    with pytest.raises(InputError, match=r"Erfinv|Ndtri") as caught:
        convert(model)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["small.keras", "small.h5", "renamed.bin"])
def test_files_give_the_same_model(small, name: str, tmp_path: Path):
    path = tmp_path / name
    small.save(path if path.suffix != ".bin" else path.with_suffix(".keras"))
    if path.suffix == ".bin":
        path.with_suffix(".keras").rename(path)
    converted = convert(path)
    assert converted.path == path
    np.testing.assert_allclose(run(converted, IMAGE)[0], np.asarray(small(IMAGE)), atol=1e-5)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_lambdas_in_files_are_refused_and_not_run(keras, suffix: str, tmp_path: Path):
    trap = tmp_path / "sprung"
    image = keras.Input((4,))
    spring = lambda x, path=str(trap): (__import__("pathlib").Path(path).touch(), x)[1]  # noqa: E731
    model = keras.Model(image, keras.layers.Lambda(spring, name="trap")(image))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    trap.unlink()
    with pytest.raises(InputError, match=r"Lambda layer \('trap'\)") as caught:
        convert(path)
    assert "onnxprune.prune(model" in caught.value.hint
    assert not trap.exists()


def test_a_lambda_in_memory_is_the_users_own(keras):
    image = keras.Input((4,))
    model = keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image))
    np.testing.assert_allclose(run(convert(model), IMAGE[:, 0, :4, 0])[0], 2 * IMAGE[:, 0, :4, 0])


def test_layers_of_the_authors_own_are_refused_with_the_way_out(keras, tmp_path: Path):
    class Own(keras.layers.Layer):
        def call(self, x):
            return x * 2

    image = keras.Input((4,))
    keras.Model(image, Own()(image)).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="author's own: Own") as caught:
        convert(tmp_path / "model.keras")
    assert "onnxprune.prune(model" in caught.value.hint


def test_weights_alone_are_refused(small, tmp_path: Path):
    small.save_weights(tmp_path / "small.weights.h5")
    with pytest.raises(InputError, match="no architecture"):
        convert(tmp_path / "small.weights.h5")


def test_damaged_files_are_told(small, tmp_path: Path):
    for name in ("small.keras", "small.h5"):
        path = tmp_path / name
        small.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError, match=r"whatever its suffix says|not a complete|cannot load"):
            convert(path)
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "[")
    with pytest.raises(InputError, match="not a complete Keras archive"):
        convert(path)


def test_a_saved_model_folder_is_converted(small, tmp_path: Path):
    folder = tmp_path / "folder"
    small.export(folder, format="tf_saved_model", verbose=False)
    converted = convert(folder)
    np.testing.assert_allclose(run(converted, IMAGE)[0], np.asarray(small(IMAGE)), atol=1e-5)
    assert shape(converted.proto.graph.input[0])[1:] == [16, 16, 3]
    assert isinstance(shape(converted.proto.graph.input[0])[0], str)
    assert not any("StatefulPartitionedCall" in node.name for node in converted.proto.graph.node)


def test_a_saved_model_that_reaches_for_files_is_not_loaded(tmp_path: Path):
    import tensorflow as tf

    trap, folder = tmp_path / "sprung", tmp_path / "folder"

    class Bad(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32)])
        def __call__(self, x):
            tf.io.write_file(str(trap), "x")
            return x * 2

    tf.saved_model.save(Bad(), str(folder))
    with pytest.raises(InputError, match="WriteFile"):
        convert(folder)
    assert not trap.exists()


def test_the_signature_of_a_saved_model_has_to_be_clear(tmp_path: Path):
    import tensorflow as tf

    module = tf.Module()
    function = tf.function(lambda x: x * 2, input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "none"))
    with pytest.raises(InputError, match="no signature"):
        convert(tmp_path / "none")
    both = {"one": function, "two": function}
    tf.saved_model.save(module, str(tmp_path / "both"), signatures=both)
    with pytest.raises(InputError, match="one, two but none called serving_default"):
        convert(tmp_path / "both")
    tf.saved_model.save(module, str(tmp_path / "one"), signatures={"one": function})
    rows = IMAGE[:, 0, :4, 0]
    np.testing.assert_allclose(run(convert(tmp_path / "one"), rows)[0], 2 * rows)


def test_a_damaged_saved_model_is_told(tmp_path: Path):
    (tmp_path / "saved_model.pb").write_bytes(b"\x0a\xff\xff\xff")
    with pytest.raises(InputError, match="not a complete SavedModel"):
        convert(tmp_path)


def test_a_damaged_tflite_file_is_told(tmp_path: Path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(16))
    with pytest.raises(InputError, match="cannot be converted"):
        convert(path)


def test_a_quantised_tflite_file_is_pruned_quantised(
    keras, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    import tensorflow as tf

    layers = [keras.layers.Conv2D(n, 3, activation="relu") for n in (16, 12)]
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), *layers, keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in IMAGE)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    path = tmp_path / "model.tflite"
    path.write_bytes(converter.convert())
    converted = convert(path)
    assert "DequantizeLinear" in [node.op_type for node in converted.proto.graph.node]
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], IMAGE[:1])
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(run(converted, IMAGE[:1])[0], expected, atol=0.02)
    result = prune(converted, ratio=0.5, align="off", threads=1)
    assert [row.channels for row in result.report.layers] == [(16, 8), (12, 6), (4, 4)]
    assert result.report.verification["masked_equivalence"]["checked"]


def test_nothing_is_said_on_the_terminal(small, tmp_path: Path):
    path = tmp_path / "small.keras"
    small.save(path)
    code = f"from onnxprune.frontends import convert; convert({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_nothing_is_left_changed(small):
    code = """
import logging, os, sys, warnings
before = dict(os.environ), sys.stderr, logging.root.manager.disable, list(warnings.filters)
from onnxprune.frontends.backend import import_keras
keras = import_keras("This")
from onnxprune.frontends import convert
filters = list(warnings.filters)
convert(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
changed = {k for k in os.environ if os.environ[k] != before[0].get(k)} | (set(before[0]) - set(os.environ))
print(changed - {"TF2_BEHAVIOR", "TPU_ML_PLATFORM", "ENABLE_RUNTIME_UPTIME_TELEMETRY"})
print(sys.stderr is before[1], logging.root.manager.disable == before[2], filters == list(warnings.filters))
os.write(2, b"heard")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["set()", "True True True"]
    assert done.stderr == "heard"


@pytest.mark.parametrize("saved", [False, True], ids=["model", "folder"])
def test_convolutions_that_keras_compiles_are_converted(keras, saved: bool, tmp_path: Path):
    layers = keras.layers
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(8, 3), layers.Conv2D(12, 3, groups=4)])
    source = model
    if saved:
        source = tmp_path / "folder"
        model.export(source, format="tf_saved_model", verbose=False)
    converted = convert(source)
    groups = [a.i for node in converted.proto.graph.node for a in node.attribute if a.name == "group"]
    assert 4 in groups
    np.testing.assert_allclose(run(converted, IMAGE)[0], np.asarray(model(IMAGE)), atol=1e-5)
    if saved:
        assert {path.name for path in source.iterdir()} >= {"saved_model.pb", "variables"}


def test_what_stands_behind_a_loop_can_be_pruned(keras):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((None, 8), name="steps"), layers.GRU(6), layers.Dense(16, name="wide"), layers.Dense(3)]
    )
    converted = convert(model)
    assert "Loop" in [node.op_type for node in converted.proto.graph.node]
    result = prune(converted, ratio=0.5, align="off", threads=1)
    wide = next(row for row in result.report.layers if "/wide/" in row.name)
    assert wide.channels == (16, 8)
