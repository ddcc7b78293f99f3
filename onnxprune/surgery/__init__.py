"""Cuts the graph: constants, attributes, shape operands."""

from __future__ import annotations

from onnxprune.surgery.apply import Cut, apply
from onnxprune.surgery.cut import Cuts
from onnxprune.surgery.denormals import flush_denormals

__all__ = ["Cut", "Cuts", "apply", "flush_denormals"]
