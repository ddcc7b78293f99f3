"""How well a model does on data: with labels, or beside the model that it came from."""

from __future__ import annotations

from onnxprune.evaluation.evaluate import Evaluation, Evaluator, evaluate
from onnxprune.evaluation.figure import Figure
from onnxprune.evaluation.metrics import METRICS, Metric, default_metrics, find_metrics
from onnxprune.evaluation.predict import Predict, predictor

__all__ = [
    "METRICS",
    "Evaluation",
    "Evaluator",
    "Figure",
    "Metric",
    "Predict",
    "default_metrics",
    "evaluate",
    "find_metrics",
    "predictor",
]
