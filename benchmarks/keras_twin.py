"""The DCASE 2021 network as a Keras file, with the weights of its ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

SHAPE = (40, 500, 1)


def save_keras(source: Path, path: Path) -> None:
    """Write the Keras twin of a network that ``fixtures/make_fixtures.py`` has trained.

    Args:
        source: ONNX file, channels first, batch normalisation kept.
        path: ``.keras`` or ``.h5`` file to write; the twin takes channels last and ends in a softmax, as
            the baseline of the challenge does.
    """
    arrays = _arrays(source)
    filters = [len(arrays[f"conv{number}.bias"]) for number in (1, 2, 3)]
    twin = build(filters)
    twin.get_layer("fc1").set_weights([_flattened(arrays["fc1.weight"], filters[-1]), arrays["fc1.bias"]])
    twin.get_layer("fc2").set_weights([arrays["fc2.weight"].T, arrays["fc2.bias"]])
    for number in (1, 2, 3):
        kernel = arrays[f"conv{number}.weight"].transpose(2, 3, 1, 0)
        twin.get_layer(f"conv{number}").set_weights([kernel, arrays[f"conv{number}.bias"]])
        parts = ("weight", "bias", "running_mean", "running_var")
        twin.get_layer(f"norm{number}").set_weights([arrays[f"norm{number}.{part}"] for part in parts])
    twin.save(path)


def build(filters: list[int]) -> Any:
    """The network of the challenge's baseline in Keras, with so many filters."""
    from keras import Input, Sequential, layers

    def convolution(number: int) -> list[Any]:
        return [
            layers.Conv2D(filters[number - 1], 7, padding="same", name=f"conv{number}"),
            layers.BatchNormalization(name=f"norm{number}"),
            layers.Activation("relu"),
        ]

    return Sequential(
        [
            Input(SHAPE),
            *convolution(1),
            *convolution(2),
            layers.MaxPooling2D(5),
            layers.Dropout(0.3),
            *convolution(3),
            layers.MaxPooling2D((4, 100)),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(100, activation="relu", name="fc1"),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax", name="fc2"),
        ]
    )


def _arrays(source: Path) -> dict[str, Any]:
    """Constants by name, those behind an Identity too."""
    proto = onnx.load(str(source))
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _flattened(weight: Any, channels: int) -> Any:
    """From columns by channel and row, ``(out, channels * rows)``, to Keras's rows and channels."""
    rows = weight.shape[1] // channels
    return np.ascontiguousarray(
        weight.reshape(len(weight), channels, rows).transpose(2, 1, 0).reshape(-1, len(weight))
    )
