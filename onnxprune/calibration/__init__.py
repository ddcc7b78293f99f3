"""Calibration data: where it comes from, and what a model does on it."""

from __future__ import annotations

from onnxprune.calibration.samples import ArraySamples, Batch, Samples

__all__ = ["ArraySamples", "Batch", "Samples"]
