"""The rows themselves, for layers with more columns than there are rows: the dual of least squares."""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Floats
from onnxprune.model.constants import Array


class Rows:
    """Rows of ``groups`` independent products, for ridge regression in its dual form.

    With n rows and k columns the normal equations have k unknowns, the dual ones n.
    """

    def __init__(self) -> None:
        self._inputs: list[Array] = []
        self._targets: list[Array] = []
        self._lacking: list[Array] = []

    @property
    def rows(self) -> int:
        """How many were added."""
        return sum(own.shape[1] for own in self._inputs)

    def add(self, inputs: Array, targets: Array, lacking: Array) -> None:
        """Add rows.

        Args:
            inputs: (groups, rows, columns).
            targets: (groups, rows, channels).
            lacking: of the same shape, the targets less what the layer gives as it is.
        """
        self._inputs.append(inputs)
        self._targets.append(targets)
        self._lacking.append(lacking)

    def __add__(self, other: Rows) -> Rows:
        total = Rows()
        total._inputs = self._inputs + other._inputs
        total._targets = self._targets + other._targets
        total._lacking = self._lacking + other._lacking
        return total

    def variance(self) -> Floats:
        """Variance of each target, (groups, channels)."""
        own: Floats = np.concatenate(self._targets, axis=1).var(axis=1, dtype=np.float64)
        return own

    def constant(self, weight: Floats) -> Floats:
        """The change of the constant term that fits best beside one of the weight, (groups, channels)."""
        inputs, lacking = self._joined()
        term: Floats = lacking.mean(axis=1) - (inputs.mean(axis=1, keepdims=True) @ weight)[:, 0]
        return term

    def error(self, weight: Floats, bias: Floats) -> Floats:
        """Mean squared error of each output after changes of weight and bias, (groups, channels)."""
        inputs, lacking = self._joined()
        own: Floats = ((inputs @ weight + bias[:, None] - lacking) ** 2).mean(axis=1)
        return own

    def ridge(self, damping: float, *, centred: bool) -> Floats:
        """The change of the weight that fits best, held small, (groups, columns, channels).

        Args:
            damping: relative to the mean square of an input column.
            centred: whether a constant term is fitted beside.
        """
        inputs, lacking = self._joined()
        if centred:
            inputs, lacking = (own - own.mean(axis=1, keepdims=True) for own in (inputs, lacking))
        across = inputs.transpose(0, 2, 1)
        gram = inputs @ across
        diagonal = np.einsum("gnn->gn", gram)
        # the sum of squares over columns and rows is the trace of both forms
        level = damping * diagonal.sum(axis=1, keepdims=True) / inputs.shape[2]
        diagonal += np.where(level > 0, level, 1.0)
        change: Floats = across @ np.linalg.solve(gram, lacking)
        return change

    def _joined(self) -> tuple[Floats, Floats]:
        return (
            np.concatenate(self._inputs, axis=1).astype(np.float64),
            np.concatenate(self._lacking, axis=1).astype(np.float64),
        )
