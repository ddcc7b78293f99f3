"""How much each layer matters: what happens to a metric when it alone is pruned."""

from __future__ import annotations

from onnxprune.sensitivity.cache import Cache, default_folder, digest_of, open_cache
from onnxprune.sensitivity.document import Point, Row, Sensitivity
from onnxprune.sensitivity.held import HeldSamples
from onnxprune.sensitivity.scan import RATIOS, Scan

__all__ = [
    "RATIOS",
    "Cache",
    "HeldSamples",
    "Point",
    "Row",
    "Scan",
    "Sensitivity",
    "default_folder",
    "digest_of",
    "open_cache",
]
