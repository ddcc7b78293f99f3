"""Criteria: how important each unit of a group is."""

from __future__ import annotations

from onnxprune.criteria import (  # noqa: F401  importing them registers them
    apoz,
    bn,
    correlation,
    cosine,
    entropy,
    geometric_median,
    gradients,
    lamp,
    moments,
    norms,
    obs,
    random,
    rank,
    wanda,
)
from onnxprune.criteria.normalizers import NORMALIZERS
from onnxprune.criteria.reductions import REDUCTIONS
from onnxprune.criteria.registry import Score, known, register
from onnxprune.criteria.scoring import Criterion, Rescore, Scores, criterion, rescorer, score_groups
from onnxprune.criteria.weights import VisibleWeights, Weights

__all__ = [
    "NORMALIZERS",
    "REDUCTIONS",
    "Criterion",
    "Rescore",
    "Score",
    "Scores",
    "VisibleWeights",
    "Weights",
    "criterion",
    "known",
    "register",
    "rescorer",
    "score_groups",
]
