"""Small networks, each written once and built by torch and by Keras.

A network is a function of a builder and an input. What the builder's methods do is the same in both
frameworks, so that exports of both can be compared; how they do it is idiomatic in each: channels first
and ``nn.Conv2d(padding=...)`` in torch, channels last and ``padding="same"`` in Keras. Kernels are odd and
strided layers see even sizes padded by hand, so that both pad alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Program = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Network:
    """A network and the shape of its input, channels last and without the batch."""

    program: Program
    shape: tuple[int, ...]


def conv_norm_relu(b: Any, x: Any, filters: int, kernel: int = 3, stride: int = 1) -> Any:
    """The usual block of three."""
    return b.relu(b.norm(b.conv(x, filters, kernel, stride)))


def vgg(b: Any, x: Any) -> Any:
    """Plain convolutions, a flattened map before the classifier."""
    for filters in (24, 32):
        x = conv_norm_relu(b, x, filters)
        x = b.max_pool(conv_norm_relu(b, x, filters), 2)
    x = b.max_pool(conv_norm_relu(b, x, 40), 2)
    return b.dense(b.relu(b.dense(b.flatten(x), 64)), 10)


def resnet(b: Any, x: Any) -> Any:
    """Basic blocks with identity and with projected shortcuts."""
    x = conv_norm_relu(b, x, 24)
    for filters, stride in ((24, 1), (48, 2), (48, 1)):
        short = x if stride == 1 else b.norm(b.conv(x, filters, 1, stride, bias=False))
        y = conv_norm_relu(b, x, filters, 3, stride)
        x = b.relu(b.add(b.norm(b.conv(y, filters, 3)), short))
    return b.dense(b.global_pool(x), 10)


def mobilenet(b: Any, x: Any) -> Any:
    """Inverted residuals: expand, depthwise, project."""
    x = b.relu6(b.norm(b.conv(x, 16, 3, 2, bias=False)))
    for filters, stride in ((16, 1), (24, 2), (24, 1), (32, 1)):
        y = b.relu6(b.norm(b.conv(x, 4 * b.channels(x), 1, bias=False)))
        y = b.relu6(b.norm(b.depthwise(y, 3, stride)))
        y = b.norm(b.conv(y, filters, 1, bias=False))
        x = b.add(x, y) if stride == 1 and filters == b.channels(x) else y
    x = b.relu6(b.norm(b.conv(x, 96, 1, bias=False)))
    return b.dense(b.global_pool(x), 10)


def densenet(b: Any, x: Any) -> Any:
    """Pre-activation layers whose outputs are all concatenated, a transition between two blocks.

    Wide enough that four numbers a channel for normalisation (torch) instead of two (tf2onnx) do not count.
    """
    x = b.conv(x, 48, 3)
    for last in (False, True):
        for _ in range(3):
            y = b.conv(b.relu(b.norm(x)), 80, 1, bias=False)
            y = b.conv(b.relu(b.norm(y)), 40, 3, bias=False)
            x = b.concat([x, y])
        x = b.relu(b.norm(x))
        if not last:
            x = b.avg_pool(b.conv(x, 60, 1, bias=False), 2)
    return b.dense(b.global_pool(x), 10)


def squeeze_excite(b: Any, x: Any) -> Any:
    """Residual blocks in which a small network of the pooled map scales the channels."""
    x = conv_norm_relu(b, x, 32, 3, 2)
    for _ in range(2):
        y = conv_norm_relu(b, x, 48)
        gate = b.global_pool(y, keep=True)
        gate = b.sigmoid(b.conv(b.silu(b.conv(gate, 12, 1)), 48, 1))
        x = b.relu(b.add(x, b.norm(b.conv(b.multiply(y, gate), 32, 1))))
    return b.dense(b.global_pool(x), 10)


def unet(b: Any, x: Any) -> Any:
    """An encoder and a decoder with concatenated skips; the output is a map."""
    first = conv_norm_relu(b, x, 16)
    second = conv_norm_relu(b, b.max_pool(first, 2), 32)
    x = conv_norm_relu(b, b.max_pool(second, 2), 48)
    x = conv_norm_relu(b, b.concat([b.upsample(x), second]), 32)
    x = conv_norm_relu(b, b.concat([b.transposed(x, 16), first]), 16)
    return b.conv(x, 3, 1)


def convnext(b: Any, x: Any) -> Any:
    """Patches, then blocks of a depthwise layer, a normalisation over channels and two dense layers."""
    x = b.layer_norm(b.patches(x, 32, 4))
    for _ in range(2):
        y = b.layer_norm(b.depthwise(x, 7, 1, bias=True))
        y = b.pointwise(b.gelu(b.pointwise(y, 128)), 32)
        x = b.add(x, b.scale(y))
    x = b.patches(b.layer_norm(x), 48, 2)
    return b.dense(b.layer_norm(b.global_pool(x)), 10)


def vit(b: Any, x: Any) -> Any:
    """Patches as tokens, encoder layers with four heads, the mean of the tokens classified."""
    x = b.tokens(b.patches(x, 48, 4))
    x = b.position(x)
    for _ in range(2):
        x = b.add(x, b.attention(b.layer_norm(x), heads=4))
        y = b.layer_norm(x)
        x = b.add(x, b.dense(b.gelu(b.dense(y, 96)), 48))
    return b.dense(b.token_mean(b.layer_norm(x)), 10)


def lstm_head(b: Any, x: Any) -> Any:
    """One-dimensional convolutions read by a recurrent layer, whose last state is classified."""
    x = b.relu(b.norm(b.conv1d(x, 32, 5)))
    x = b.max_pool1d(b.relu(b.norm(b.conv1d(x, 40, 5))), 2)
    return b.dense(b.relu(b.dense(b.lstm(x, 24), 32)), 10)


def audio1d(b: Any, x: Any) -> Any:
    """Raw audio: long strided kernels, then pooled small ones."""
    x = b.relu(b.norm(b.conv1d(x, 24, 15, 4)))
    for filters in (32, 48):
        x = b.max_pool1d(b.relu(b.norm(b.conv1d(x, filters, 3))), 4)
    return b.dense(b.relu(b.dense(b.global_pool1d(x), 32)), 10)


def dcase2021(b: Any, x: Any) -> Any:
    """The acoustic scene network of DCASE 2021 task 1a: 46,246 parameters as Keras counts them."""
    x = b.relu(b.norm(b.conv(x, 16, 7)))
    x = b.relu(b.norm(b.conv(x, 16, 7)))
    x = b.max_pool(x, 5)
    x = b.relu(b.norm(b.conv(x, 32, 7)))
    x = b.max_pool(x, (4, 100))
    return b.softmax(b.dense(b.relu(b.dense(b.flatten(x), 100)), 10))


IMAGE = (32, 32, 3)
NETWORKS = {
    "vgg": Network(vgg, IMAGE),
    "resnet": Network(resnet, IMAGE),
    "mobilenet": Network(mobilenet, IMAGE),
    "densenet": Network(densenet, IMAGE),
    "squeeze_excite": Network(squeeze_excite, IMAGE),
    "unet": Network(unet, IMAGE),
    "convnext": Network(convnext, IMAGE),
    "vit": Network(vit, IMAGE),
    "lstm_head": Network(lstm_head, (64, 20)),
    "audio1d": Network(audio1d, (1024, 1)),
    "dcase2021": Network(dcase2021, (40, 500, 1)),
}
"""By the name that tables and tests use."""
