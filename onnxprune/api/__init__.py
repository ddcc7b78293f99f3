"""The verbs of the package, for programs; the command line is a thin client of them."""

from __future__ import annotations

from onnxprune.api.conversion import convert
from onnxprune.api.inspection import examine, inspect
from onnxprune.api.job import Job, open_job
from onnxprune.api.pruning import prune
from onnxprune.api.running import PruneResult, run
from onnxprune.api.settings import Settings
from onnxprune.api.verification import VerifyResult, verify

__all__ = [
    "Job",
    "PruneResult",
    "Settings",
    "VerifyResult",
    "convert",
    "examine",
    "inspect",
    "open_job",
    "prune",
    "run",
    "verify",
]
