"""Builds the networks in Keras 3: channels last, the functional interface, any backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from networks import Network


def build(network: Network, name: str, seed: int = 0) -> keras.Model:
    """The network as a functional model, never called."""
    keras.utils.set_random_seed(seed)
    image = keras.Input(network.shape, name="image")
    model = keras.Model(image, network.program(Builder(), image), name=name)
    randomise(model, np.random.default_rng(seed))
    return model


class Builder:
    """What the programs are given."""

    def channels(self, x: Any) -> int:
        return x.shape[-1]

    def conv(
        self,
        x: Any,
        filters: int,
        kernel: int,
        stride: int = 1,
        *,
        bias: bool = True,
        name: str | None = None,
    ) -> Any:
        layer = layers.Conv2D(filters, kernel, stride, padding=padding(stride), use_bias=bias, name=name)
        return layer(pad(x, kernel, stride))

    def depthwise(self, x: Any, kernel: int, stride: int, *, bias: bool = False) -> Any:
        return layers.DepthwiseConv2D(kernel, stride, padding=padding(stride), use_bias=bias)(
            pad(x, kernel, stride)
        )

    def patches(self, x: Any, filters: int, size: int) -> Any:
        return layers.Conv2D(filters, size, size)(x)

    def transposed(self, x: Any, filters: int) -> Any:
        return layers.Conv2DTranspose(filters, 2, 2)(x)

    def conv1d(self, x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
        if stride > 1 and kernel > 1:
            x = layers.ZeroPadding1D(kernel // 2)(x)
        return layers.Conv1D(filters, kernel, stride, padding=padding(stride))(x)

    def norm(self, x: Any) -> Any:
        return layers.BatchNormalization()(x)

    def layer_norm(self, x: Any) -> Any:
        return layers.LayerNormalization()(x)

    def scale(self, x: Any) -> Any:
        return Scale()(x)

    def position(self, x: Any) -> Any:
        return Position()(x)

    def dense(self, x: Any, units: int) -> Any:
        return layers.Dense(units)(x)

    def pointwise(self, x: Any, units: int) -> Any:
        return layers.Dense(units)(x)

    def attention(self, x: Any, heads: int) -> Any:
        return layers.MultiHeadAttention(heads, x.shape[-1] // heads)(x, x)

    def lstm(self, x: Any, units: int) -> Any:
        return layers.LSTM(units)(x)

    def tokens(self, x: Any) -> Any:
        return layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(x)

    def token_mean(self, x: Any) -> Any:
        return layers.GlobalAveragePooling1D()(x)

    def max_pool(self, x: Any, size: int | tuple[int, int]) -> Any:
        return layers.MaxPooling2D(size)(x)

    def max_pool1d(self, x: Any, size: int) -> Any:
        return layers.MaxPooling1D(size)(x)

    def avg_pool(self, x: Any, size: int) -> Any:
        return layers.AveragePooling2D(size)(x)

    def global_pool(self, x: Any, *, keep: bool = False) -> Any:
        return layers.GlobalAveragePooling2D(keepdims=keep)(x)

    def global_pool1d(self, x: Any) -> Any:
        return layers.GlobalAveragePooling1D()(x)

    def upsample(self, x: Any) -> Any:
        return layers.UpSampling2D(2)(x)

    def concat(self, values: Sequence[Any]) -> Any:
        return layers.Concatenate()(list(values))

    def flatten(self, x: Any) -> Any:
        return layers.Flatten()(x)

    def add(self, x: Any, y: Any) -> Any:
        return layers.Add()([x, y])

    def multiply(self, x: Any, y: Any) -> Any:
        return layers.Multiply()([x, y])

    def relu(self, x: Any) -> Any:
        return layers.ReLU()(x)

    def relu6(self, x: Any) -> Any:
        return layers.ReLU(6.0)(x)

    def gelu(self, x: Any) -> Any:
        return layers.Activation("gelu")(x)

    def silu(self, x: Any) -> Any:
        return layers.Activation("silu")(x)

    def sigmoid(self, x: Any) -> Any:
        return layers.Activation("sigmoid")(x)

    def softmax(self, x: Any) -> Any:
        return layers.Softmax()(x)


class Scale(layers.Layer):
    """One factor a channel."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.factor = self.add_weight(shape=(shape[-1],), name="factor")

    def call(self, x: Any) -> Any:
        return x * self.factor


class Position(layers.Layer):
    """One vector a token."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x: Any) -> Any:
        return x + ops.expand_dims(self.table, 0)


def padding(stride: int) -> str:
    """Strided layers are padded by hand, as Keras puts the odd row at the end."""
    return "same" if stride == 1 else "valid"


def pad(x: Any, kernel: int, stride: int) -> Any:
    """The padding of a strided layer."""
    return layers.ZeroPadding2D(kernel // 2)(x) if stride > 1 and kernel > 1 else x


def randomise(model: keras.Model, rng: np.random.Generator) -> None:
    """Give every vector values of its own, as training would."""
    for variable in model.weights:
        shape = tuple(variable.shape)
        if variable.name in ("gamma", "factor"):
            variable.assign(rng.normal(1, 0.1, shape).astype("float32"))
        elif variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 1.5, shape).astype("float32"))
        elif len(shape) == 1 or variable.name == "bias":
            variable.assign(rng.normal(0, 0.1, shape).astype("float32"))
