"""What is won back, or kept, without training."""

from __future__ import annotations

from onnxprune.repair.clean import clean_up
from onnxprune.repair.method import Repaired, RepairOptions
from onnxprune.repair.methods import METHODS, repair_cut

__all__ = ["METHODS", "RepairOptions", "Repaired", "clean_up", "repair_cut"]
