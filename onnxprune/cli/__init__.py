"""The command line: a thin client of ``onnxprune.api``."""

from __future__ import annotations

from onnxprune.cli.app import main

__all__ = ["main"]
