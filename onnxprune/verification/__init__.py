"""Checks that a pruned model computes what the masked source computes."""

from __future__ import annotations

from onnxprune.verification.equivalence import masked_equivalence
from onnxprune.verification.recheck import recheck
from onnxprune.verification.verification import Verification

__all__ = ["Verification", "masked_equivalence", "recheck"]
