"""The account of a run: what it is made of, and how it is shown and stored."""

from __future__ import annotations

from onnxprune.report.document import Change, LayerRow, Report
from onnxprune.report.json import Claims, claims, dumps, read_claims

__all__ = ["Change", "Claims", "LayerRow", "Report", "claims", "dumps", "read_claims"]
