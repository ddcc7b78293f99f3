"""The rows themselves, for layers with more columns than there are rows: the dual of least squares."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats
from onnxprune.model.constants import Array


class Rows:
    """Rows of one product, for ridge regression in its dual form.

    With n rows and k columns the normal equations have k unknowns, the dual ones n.
    """

    def __init__(self) -> None:
        self._inputs: list[Array] = []
        self._targets: list[Array] = []

    def add(self, inputs: Array, targets: Array) -> None:
        """Add rows: (1, rows, columns) and (1, rows, channels)."""
        self._inputs.append(inputs[0])
        self._targets.append(targets[0])

    def __add__(self, other: Rows) -> Rows:
        total = Rows()
        total._inputs = self._inputs + other._inputs
        total._targets = self._targets + other._targets
        return total

    def variance(self) -> Floats:
        """Variance of each target, (1, channels)."""
        own: Floats = np.concatenate(self._targets).var(axis=0, dtype=np.float64)[None]
        return own

    def constant(self, weight: Floats) -> Floats:
        """The constant term that fits best beside a weight, (1, channels)."""
        inputs, targets = self._joined()
        term: Floats = (targets.mean(axis=0) - inputs.mean(axis=0) @ weight[0])[None]
        return term

    def error(self, weight: Floats, bias: Floats) -> Floats:
        """Mean squared error of each output, (1, channels)."""
        inputs, targets = self._joined()
        own: Floats = ((inputs @ weight[0] + bias[0] - targets) ** 2).mean(axis=0)[None]
        return own

    def ridge(self, weight: Floats, damping: float, *, centred: bool) -> Floats:
        """The weight that fits best, drawn towards a given one, (1, columns, channels)."""
        inputs, targets = self._joined()
        if centred:
            inputs, targets = inputs - inputs.mean(axis=0), targets - targets.mean(axis=0)
        gram = inputs @ inputs.T
        # the mean diagonal of the primal matrix, as the damping is relative to it
        level = damping * np.trace(gram) / inputs.shape[1]
        gram[np.diag_indices(len(gram))] += level or 1.0
        change: Floats = inputs.T @ np.linalg.solve(gram, targets - inputs @ weight[0])
        return weight + change[None]

    def _joined(self) -> tuple[Floats, Floats]:
        return (
            np.concatenate(self._inputs).astype(np.float64),
            np.concatenate(self._targets).astype(np.float64),
        )
