"""Checks that a pruned model computes what the masked source computes."""

from __future__ import annotations

from onnxprune.verify.equivalence import masked_equivalence
from onnxprune.verify.recheck import recheck
from onnxprune.verify.verification import Verification

__all__ = ["Verification", "masked_equivalence", "recheck"]
