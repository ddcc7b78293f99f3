"""Models of other frameworks, converted to ONNX; heavy packages are imported on use."""

from __future__ import annotations

from onnxprune.frontends.convert import convert, is_foreign
from onnxprune.frontends.formats import FORMATS, Format

__all__ = ["FORMATS", "Format", "convert", "is_foreign"]
