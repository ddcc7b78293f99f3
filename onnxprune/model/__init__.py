"""Models: load, save, check, and hold their constants apart from the graph."""

from __future__ import annotations

from onnxprune.model.constants import Constant, Constants
from onnxprune.model.load import load_model
from onnxprune.model.model import Model
from onnxprune.model.save import save_model

__all__ = ["Constant", "Constants", "Model", "load_model", "save_model"]
