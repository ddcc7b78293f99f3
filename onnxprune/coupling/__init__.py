"""Which channels belong together: labels, rules, groups."""

from __future__ import annotations

from onnxprune.coupling.coupling import Coupling, couple
from onnxprune.coupling.groups import Group, Guard, Layer, Role, SizeModel, Slice, Structure

__all__ = ["Coupling", "Group", "Guard", "Layer", "Role", "SizeModel", "Slice", "Structure", "couple"]
