"""Many ways of pruning one model: what there is to try, who tries what, and which results no other beats."""

from __future__ import annotations

from onnxprune.sweep.document import Row, Sweep
from onnxprune.sweep.space import NONE, Config, Space

__all__ = ["NONE", "Config", "Row", "Space", "Sweep"]
