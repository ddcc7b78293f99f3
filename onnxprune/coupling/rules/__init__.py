"""The rules, one file an operator family; importing this package fills the registry."""

from __future__ import annotations

from onnxprune.coupling.registry import RULES
from onnxprune.coupling.rules import (
    attention,
    contraction,
    elementwise,
    indexing,
    joining,
    normalization,
    quantization,
    recurrent,
    reduction,
    reshape,
    spatial,
)

__all__ = [
    "RULES",
    "attention",
    "contraction",
    "elementwise",
    "indexing",
    "joining",
    "normalization",
    "quantization",
    "recurrent",
    "reduction",
    "reshape",
    "spatial",
]
