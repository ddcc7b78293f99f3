"""Pruning in steps: from a model to one whose layers have stated shares of the first one's filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import onnxprune
from onnxprune import couple
from onnxprune.model import Model

EPSILON = 1e-9


def widths(model: Model) -> dict[str, int]:
    """Units of every group that can be pruned, by its name, which pruning keeps."""
    return {group.name: group.size for group in couple(model).structure.groups}


def counts_at(first: Mapping[str, int], ratio: float) -> dict[str, int]:
    """Units that are left at a ratio of the first model, rounded down, at least one."""
    return {name: max(1, int(np.floor(size * (1 - ratio) + EPSILON))) for name, size in first.items()}


def prune_to(model: Model, counts: Mapping[str, int], **options: Any) -> Model:
    """Prune to stated numbers of units; groups that are not named stay whole."""
    now = widths(model)
    ratios = {name: 1 - counts[name] / size for name, size in now.items() if counts.get(name, size) < size}
    if not ratios:
        return model
    options = {"align": "off", "repair": "none", **options}
    return onnxprune.prune(model, ratio=0.0, layer_ratio=ratios, **options).model
