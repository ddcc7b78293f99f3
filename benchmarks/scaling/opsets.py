"""One network in every operator set, made of operators whose operands moved over time."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto

from scaling.draft import Draft

OLDEST, NEWEST = 7, 26
"""The oldest that is accepted, and the newest that the tested ONNX Runtime loads."""


def network(opset: int) -> ModelProto:
    """A residual sum, a split, a concatenation, and the shape operators between them."""
    draft = Draft(opset)
    _convolution(draft, "x", "stem", 3, pads=[1] * 4)
    norm = [
        draft.constant(f"norm.{part}", np.full(16, value, np.float32))
        for part, value in (("scale", 1), ("bias", 0.1), ("mean", 0.1), ("var", 2))
    ]
    draft.node("BatchNormalization", ["stem", *norm], "norm")
    draft.sized("Clip", ["norm"], ["clip"], {}, min=0.0, max=6.0)
    draft.node("MaxPool", ["clip"], "pool", kernel_shape=[2, 2], strides=[2, 2])
    draft.node("Dropout", ["pool"], "drop")
    draft.sized("Pad", ["drop"], ["pad"], {}, pads=[0, 0, 1, 1, 0, 0, 1, 1])
    _convolution(draft, "pad", "second", 16)
    draft.sized("Slice", ["pad"], ["slice"], {}, starts=[1, 1], ends=[7, 7], axes=[2, 3])
    draft.node("Add", ["second", "slice"], "sum")
    draft.sized("Split", ["sum"], ["left", "right"], {"axis": 1}, split=[8, 8])
    _convolution(draft, "left", "third", 8, pads=[1] * 4)
    draft.node("Relu", ["third"], "relu")
    draft.node("Concat", ["relu", "right"], "joined", axis=1)
    _doubled(draft, "joined", "large")
    _convolution(draft, "large", "fourth", 24)
    draft.sized("ReduceMean", ["fourth"], ["mean"], {"keepdims": 1}, axes=[2, 3])
    draft.sized("Squeeze", ["mean"], ["flat"], {}, axes=[2, 3])
    draft.sized("Unsqueeze", ["flat"], ["tall"], {}, axes=[1])
    draft.node("Reshape", ["tall", draft.constant("shape", np.array([-1, 16]))], "wide")
    draft.node("Gemm", ["wide", draft.weight("head.weight", 16, 5), draft.weight("head.bias", 5)], "scores")
    draft.node("Softmax", ["scores"], "y", axis=1)
    return draft.model(["n", 3, 12, 12], ["n", 5])


def _convolution(draft: Draft, source: str, name: str, channels: int, **attributes: object) -> None:
    weights = [draft.weight(f"{name}.weight", 16, channels, 3, 3), draft.weight(f"{name}.bias", 16)]
    draft.node("Conv", [source, *weights], name, **attributes)


def _doubled(draft: Draft, source: str, target: str) -> None:
    """Twice the pixels, by Upsample as long as there is one."""
    if draft.opset < 10:
        draft.sized("Upsample", [source], [target], {"mode": "nearest"}, scales=[1.0, 1.0, 2.0, 2.0])
        return
    scales = draft.constant(f"{target}.scales", np.array([1, 1, 2, 2], np.float32))
    region = [draft.constant(f"{target}.roi", np.zeros(0, np.float32))] if draft.opset > 10 else []
    draft.node("Resize", [source, *region, scales], target, mode="nearest")
