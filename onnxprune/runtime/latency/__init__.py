"""Latency as a target: how long each layer takes at which widths, and the widths that meet a bound."""

from __future__ import annotations

from onnxprune.runtime.latency.question import Found, Question
from onnxprune.runtime.latency.search import meet_latency
from onnxprune.runtime.latency.table import LayerTable, layer_table

__all__ = ["Found", "LayerTable", "Question", "layer_table", "meet_latency"]
