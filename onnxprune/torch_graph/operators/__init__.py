"""The operators, one file a family; importing this package fills the registry."""

from __future__ import annotations

from onnxprune.torch_graph.operators import (
    activation,
    arithmetic,
    attention,
    comparison,
    convolution,
    indexing,
    integer,
    joining,
    loss,
    matrix,
    normalization,
    pooling,
    positions,
    quantization,
    recurrent,
    reduction,
    resampling,
    reshape,
    selection,
    shapes,
    softmax,
)
from onnxprune.torch_graph.registry import REGISTRY

__all__ = [
    "REGISTRY",
    "activation",
    "arithmetic",
    "attention",
    "comparison",
    "convolution",
    "indexing",
    "integer",
    "joining",
    "loss",
    "matrix",
    "normalization",
    "pooling",
    "positions",
    "quantization",
    "recurrent",
    "reduction",
    "resampling",
    "reshape",
    "selection",
    "shapes",
    "softmax",
]
