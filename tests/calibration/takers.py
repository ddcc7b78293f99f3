"""Models that only state which inputs they take; they are not run."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from onnxprune.model import Model

FLOAT = TensorProto.FLOAT
Dim = int | str


def taker(*inputs: tuple[str, int, list[Dim]], classes: int = 10, **metadata: str) -> Model:
    """A model with these inputs (name, element type, shape) and an output of so many classes."""
    values = [helper.make_tensor_value_info(*own) for own in inputs]
    logits = helper.make_tensor_value_info("logits", FLOAT, ["n", classes])
    nodes = [helper.make_node("Identity", [inputs[0][0]], ["logits"])]
    proto = helper.make_model(helper.make_graph(nodes, "taker", values, [logits]), ir_version=8)
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    return Model(proto, {})


def image_taker(*shape: Dim, kind: int = FLOAT, classes: int = 10) -> Model:
    """A model with the one input ``image``."""
    return taker(("image", kind, list(shape)), classes=classes)


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    """Random bytes."""
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def fed(samples, size: int = 3) -> dict[str, np.ndarray]:
    """What all batches feed, joined."""
    batches = [batch.feed for batch in samples.batches(size)]
    return {name: np.concatenate([feed[name] for feed in batches]) for name in batches[0]}


def labelled(samples, size: int = 3) -> list[int]:
    """The labels of all batches."""
    return [int(label) for batch in samples.batches(size) for label in batch.labels]
