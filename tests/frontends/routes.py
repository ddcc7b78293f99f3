"""Every way from a network to an ONNX model that the matrix compares."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS

from onnxprune.frontends import convert
from onnxprune.model import Model, load_model

BATCH = 3


@dataclass(frozen=True)
class Exported:
    """A converted network, and what the framework that it comes from computes."""

    model: Model
    inputs: np.ndarray
    expected: np.ndarray


@dataclass(frozen=True)
class Exporter:
    """A way to convert.

    Attributes:
        title: for tables.
        needs: modules without which it cannot run.
        export: of a network's name; the folder is for files.
    """

    title: str
    needs: tuple[str, ...]
    export: Callable[[str, Path], Exported]


def images(name: str) -> np.ndarray:
    """Random inputs of a network, channels last."""
    return np.random.default_rng(7).standard_normal((BATCH, *NETWORKS[name].shape)).astype(np.float32)


def forward(array: np.ndarray) -> np.ndarray:
    """Channels moved from the end to the front."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))


def torch_network(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A module, its inputs and its outputs."""
    import torch
    from torch_builder import Built

    torch.set_num_threads(1)
    module, inputs = Built(NETWORKS[name]), forward(images(name))
    with torch.no_grad():
        return module, inputs, module(torch.from_numpy(inputs)).numpy()


def keras_network(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """A Keras model, its inputs and its outputs; what is converted is a copy that was never called."""
    import keras_builder

    inputs = images(name)
    expected = keras_builder.build(NETWORKS[name], name)(inputs, training=False)
    return (
        keras_builder.build(NETWORKS[name], name),
        inputs,
        np.asarray(keras_builder.ops.convert_to_numpy(expected)),
    )


def torch_dynamo(name: str, folder: Path) -> Exported:
    import torch

    module, inputs, expected = torch_network(name)
    return Exported(convert(module, example_inputs=torch.from_numpy(inputs)), inputs, expected)


def torch_script(name: str, folder: Path) -> Exported:
    import warnings

    import torch

    module, inputs, expected = torch_network(name)
    file = io.BytesIO()
    axes = {"image": {0: "batch"}, "output": {0: "batch"}}
    options = {
        "input_names": ["image"],
        "output_names": ["output"],
        "dynamic_axes": axes,
        "opset_version": 20,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.from_numpy(inputs),), file, dynamo=False, **options)
    return Exported(load_model(file.getvalue()), inputs, expected)


def torch_program(name: str, folder: Path) -> Exported:
    import warnings

    import torch

    module, inputs, expected = torch_network(name)
    path = folder / f"{name}.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = ({0: torch.export.Dim("batch")},)
        torch.export.save(
            torch.export.export(module, (torch.from_numpy(inputs),), dynamic_shapes=batch), path
        )
    return Exported(convert(path), inputs, expected)


def keras_model(name: str, folder: Path) -> Exported:
    model, inputs, expected = keras_network(name)
    return Exported(convert(model), inputs, expected)


def keras_file(name: str, folder: Path) -> Exported:
    """Through a file; only for networks without layers of their own."""
    model, inputs, expected = keras_network(name)
    path = folder / f"{name}.keras"
    model.save(path)
    return Exported(convert(path), inputs, expected)


def keras_channels_first(name: str, folder: Path) -> Exported:
    """tf2onnx by itself, the input transposed into the graph's own layout."""
    import tensorflow as tf
    import tf2onnx

    from onnxprune.frontends.missing_operators import HANDLERS
    from onnxprune.frontends.quiet import quiet

    model, inputs, expected = keras_network(name)
    spec = [tf.TensorSpec((None, *NETWORKS[name].shape), tf.float32, name="image")]
    with quiet():
        options = {"inputs_as_nchw": ["image"], "custom_op_handlers": dict(HANDLERS)}
        proto, _ = tf2onnx.convert.from_keras(model, spec, opset=15, **options)
    rank = len(proto.graph.input[0].type.tensor_type.shape.dim)
    return Exported(load_model(proto), forward(inputs) if rank == 4 else inputs, expected)


def saved_model(name: str, folder: Path) -> Exported:
    model, inputs, expected = keras_network(name)
    path = folder / name
    model.export(path, format="tf_saved_model", verbose=False)
    return Exported(convert(path), inputs, expected)


def tflite(name: str, folder: Path) -> Exported:
    import tensorflow as tf

    from onnxprune.frontends.quiet import muted, quiet

    model, inputs, expected = keras_network(name)
    path = folder / f"{name}.tflite"
    with quiet(), muted(), contextlib.redirect_stdout(io.StringIO()):
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return Exported(convert(path), inputs, expected)


def keras_on_torch(name: str, folder: Path) -> Exported:
    """In a process of its own, as Keras has one backend for life."""
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    command = [sys.executable, str(Path(__file__).with_name("keras_on_torch.py")), name, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    arrays = np.load(folder / f"{name}.npz")
    return Exported(load_model(folder / f"{name}.onnx"), arrays["inputs"], arrays["expected"])


_TENSORFLOW = ("tensorflow", "keras", "tf2onnx")
EXPORTERS = {
    "torch_dynamo": Exporter("torch, dynamo", ("torch", "onnxscript"), torch_dynamo),
    "torch_script": Exporter("torch, TorchScript", ("torch",), torch_script),
    "torch_program": Exporter("torch.export `.pt2`", ("torch", "onnxscript"), torch_program),
    "keras": Exporter("Keras on TensorFlow", _TENSORFLOW, keras_model),
    "keras_nchw": Exporter("Keras, `inputs_as_nchw`", _TENSORFLOW, keras_channels_first),
    "saved_model": Exporter("SavedModel", _TENSORFLOW, saved_model),
    "tflite": Exporter("TFLite", _TENSORFLOW, tflite),
    "keras_on_torch": Exporter("Keras on torch", ("torch", "onnxscript", "keras"), keras_on_torch),
}
"""By the name that the command line of the benchmark takes."""
