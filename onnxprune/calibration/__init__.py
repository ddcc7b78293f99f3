"""Calibration data: where it comes from, and what a model does on it."""

from __future__ import annotations

from onnxprune.calibration.choosing import DEFAULT_COUNT, split
from onnxprune.calibration.evidence import Evidence
from onnxprune.calibration.open_samples import notes_of, open_samples
from onnxprune.calibration.samples import ArraySamples, Batch, Samples

__all__ = [
    "DEFAULT_COUNT",
    "ArraySamples",
    "Batch",
    "Evidence",
    "Samples",
    "notes_of",
    "open_samples",
    "split",
]
