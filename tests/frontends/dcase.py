"""The DCASE 2021 task 1a baseline, cut as arXiv 2203.15751 cuts it, and counted as Keras counts.

Keras counts every weight of a model: kernels, biases, and four numbers a channel for batch normalisation
(scale, shift, and the two statistics). The conversion folds those four into the convolution, so the ONNX file
holds four numbers a kept channel less. The count in Keras' own terms is that of the Keras model
with as many filters as were kept, and ``rebuilt`` makes that model out of what pruning kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from networks import NETWORKS, Network

from onnxprune import prune
from onnxprune.frontends import convert
from onnxprune.model import Constants

KEPT = {"C1": 11 / 16, "C2": 11 / 16, "C3": 22 / 32}
"""Share of the filters that stays in each of the three convolutions."""

PUBLISHED = {
    (): 46_246,
    ("C1",): 42_056,
    ("C2",): 34_461,
    ("C3",): 36_356,
    ("C1", "C2"): 31_496,
    ("C2", "C3"): 27_021,
    ("C1", "C2", "C3"): 24_056,
}
"""Parameters of the pruned networks by the layers that are cut."""

LAYERS = {"C1": "conv_1", "C2": "conv_2", "C3": "conv_3"}
SHAPE = NETWORKS["dcase2021"].shape


@dataclass(frozen=True)
class Count:
    """What one cut leaves.

    Attributes:
        keras: parameters as Keras counts them, of the model rebuilt with the filters that were kept.
        onnx: parameters in the pruned file.
        normalised: channels with batch normalisation in it.
        deviation: of the rebuilt model's outputs from the pruned file's.
    """

    keras: int
    onnx: int
    normalised: int
    deviation: float


def network(filters: tuple[int, int, int]) -> Network:
    """The baseline with other numbers of filters."""

    def program(b: Any, x: Any) -> Any:
        first, second, third = filters
        x = b.relu(b.norm(b.conv(x, first, 7, name="conv_1")))
        x = b.relu(b.norm(b.conv(x, second, 7, name="conv_2")))
        x = b.max_pool(x, 5)
        x = b.relu(b.norm(b.conv(x, third, 7, name="conv_3")))
        x = b.max_pool(x, (4, 100))
        return b.softmax(b.dense(b.relu(b.dense(b.flatten(x), 100)), 10))

    return Network(program, SHAPE)


def cut(layers: tuple[str, ...]) -> Count:
    """Prune the named convolutions, rebuild the Keras model, and count."""
    import keras_builder
    from matrix import run

    model = keras_builder.build(network((16, 16, 32)), "dcase")
    source = convert(model)
    ratios = {f"*/{LAYERS[layer]}/*": 1 - KEPT[layer] for layer in layers}
    result = prune(source, ratio=0.0, layer_ratio=ratios, align="off", threads=1)
    kept = [
        _kept(result.report.cuts, source.constants, name, n)
        for name, n in zip(LAYERS.values(), (16, 16, 32), strict=True)
    ]
    small = keras_builder.build(network(tuple(map(len, kept))), "small")
    small.set_weights(_weights(model.get_weights(), kept))
    inputs = np.random.default_rng(3).standard_normal((2, *SHAPE)).astype(np.float32)
    expected = keras_builder.ops.convert_to_numpy(small(inputs, training=False))
    return Count(
        keras=small.count_params(),
        onnx=result.report.totals["params"][1],
        normalised=sum(map(len, kept)),
        deviation=float(np.abs(run(result.model, inputs) - expected).max()),
    )


def _kept(cuts: Any, constants: Constants, layer: str, filters: int) -> np.ndarray:
    """Filters that stay in a convolution, from the report: those of its kernel (o i h w)."""
    for name, axes in cuts.items():
        if f"/{layer}/" in name and len(constants[name].shape) == 4 and "0" in axes:
            return np.array(axes["0"]["kept"])
    return np.arange(filters)


def _weights(weights: list[np.ndarray], kept: list[np.ndarray]) -> list[np.ndarray]:
    """The weights of the small model, in Keras' order: of each layer kernel, bias, and its normalisation."""
    small, incoming = [], np.arange(1)
    for number, own in enumerate(kept):
        kernel, *vectors = weights[6 * number : 6 * number + 6]
        small += [kernel[:, :, incoming][..., own], *(vector[own] for vector in vectors)]
        incoming = own
    kernel, *rest = weights[18:]
    rows = kernel.reshape(-1, 32, kernel.shape[-1])[
        :, incoming
    ]  # of a H x W x C map channel c is c, C + c, ...
    return [*small, rows.reshape(-1, kernel.shape[-1]), *rest]
