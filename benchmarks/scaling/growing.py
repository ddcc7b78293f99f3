"""Networks of any number of nodes, layers or branches, with signals that neither vanish nor grow."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from scaling.draft import Draft

CHANNELS, PIXELS = 8, 8
STRONG = 4
"""Channels of a chain that carry the signal; the others have weights a tenth as large."""


def residual_chain(nodes: int) -> ModelProto:
    """Blocks of Conv, Relu, Conv, Add on one stream of channels, between two convolutions."""
    draft = Draft()
    blocks = (nodes - 2) // 4
    _conv(draft, "x", "stream0", 3, 0.3)
    for k in range(blocks):
        _conv(draft, f"stream{k}", f"a{k}", CHANNELS, 0.1)
        draft.node("Relu", [f"a{k}"], f"r{k}")
        _conv(draft, f"r{k}", f"b{k}", CHANNELS, 0.1 / blocks**0.5)
        draft.node("Add", [f"stream{k}", f"b{k}"], f"stream{k + 1}")
    _conv(draft, f"stream{blocks}", "y", CHANNELS, 0.1)
    return draft.model([1, 3, PIXELS, PIXELS], [1, CHANNELS, PIXELS, PIXELS], ir=8)


def chain(layers: int) -> ModelProto:
    """Conv and Relu in turns, each layer a group of its own.

    A random chain of a thousand layers lets nothing through once it is masked, and two zeros would be
    compared. Here each layer hands its channels on, plus a little of the others, and the first channels are
    the strong ones.
    """
    draft = Draft()
    strength = np.where(np.arange(CHANNELS) < STRONG, 1, 0.1).astype(np.float32)[:, None, None, None]
    _conv(draft, "x", "c0", 3, 0.3)
    for k in range(1, layers):
        weight = draft.rng.standard_normal((CHANNELS, CHANNELS, 3, 3), np.float32)
        weight *= np.float32(0.03 / layers**0.5)
        weight[range(CHANNELS), range(CHANNELS), 1, 1] += 1
        draft.node("Relu", [f"c{k - 1}"], f"r{k}")
        name = "y" if k == layers - 1 else f"c{k}"
        draft.constant(f"{name}.weight", weight * strength)
        draft.node("Conv", [f"r{k}", f"{name}.weight"], name, pads=[1] * 4)
    return draft.model([1, 3, PIXELS, PIXELS], [1, CHANNELS, PIXELS, PIXELS], ir=8)


def branches(count: int) -> ModelProto:
    """Convolutions that read the same map, concatenated, normalised and read by one convolution, twice."""
    draft = Draft()
    _conv(draft, "x", "joined0", 3, 0.3)
    channels = CHANNELS
    for stage in (1, 2):
        parts = []
        for k in range(count):
            _conv(draft, f"joined{stage - 1}", f"c{stage}.{k}", channels, 0.3)
            parts.append(draft.node("Relu", [f"c{stage}.{k}"], f"r{stage}.{k}"))
        draft.node("Concat", parts, f"concat{stage}", axis=1)
        wide = count * CHANNELS
        ones = [draft.constant(f"{part}{stage}", np.ones(wide, np.float32)) for part in ("g", "v")]
        zeros = [draft.constant(f"{part}{stage}", np.zeros(wide, np.float32)) for part in ("b", "m")]
        norm = [f"concat{stage}", ones[0], *zeros, ones[1]]
        draft.node("BatchNormalization", norm, f"normal{stage}")
        _conv(draft, f"normal{stage}", "y" if stage == 2 else "joined1", wide, 0.3 / count**0.5)
    return draft.model([1, 3, PIXELS, PIXELS], [1, CHANNELS, PIXELS, PIXELS], ir=8)


def _conv(draft: Draft, source: str, target: str, channels: int, gain: float) -> None:
    weight = draft.weight(f"{target}.weight", CHANNELS, channels, 3, 3, gain=gain)
    draft.node("Conv", [source, weight], target, pads=[1] * 4)
