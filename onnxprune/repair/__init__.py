"""What is won back, or kept, without training."""

from __future__ import annotations

from onnxprune.repair.clean import clean_up

__all__ = ["clean_up"]
