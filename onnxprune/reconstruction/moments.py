"""Second moments of what a layer reads and of what its outputs lack: all that least squares needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Floats
from onnxprune.model.constants import Array

SINGLE = 2500
"""Columns from which on the moments are held in single precision: they are the largest arrays here."""


@dataclass(eq=False)
class Moments:
    """Sums over rows, of ``groups`` independent products.

    What is fitted is a change of the weights, to what the outputs lack: numbers that are small where
    there is little to mend, so that nothing is lost to rounding.

    Attributes:
        columns: a group.
        channels: outputs a group.
        groups: independent products.
        rows: how many were added.
        x: (groups, columns) sum of the inputs.
        y: (groups, channels) sum of what is lacking.
        xx: (groups, columns, columns) sum of the products of inputs.
        xy: (groups, columns, channels) sum of the products of inputs and what is lacking.
        yy: (groups, channels) sum of the squares of what is lacking.
        t: (groups, channels) sum of the targets.
        tt: (groups, channels) sum of the squared targets.
    """

    columns: int
    channels: int
    groups: int = 1
    rows: int = 0
    x: Floats = field(init=False)
    y: Floats = field(init=False)
    xx: Floats = field(init=False)
    xy: Floats = field(init=False)
    yy: Floats = field(init=False)
    t: Floats = field(init=False)
    tt: Floats = field(init=False)

    def __post_init__(self) -> None:
        own: npt.DTypeLike = np.float32 if self.columns > SINGLE else np.float64
        self.x = np.zeros((self.groups, self.columns))
        self.y = np.zeros((self.groups, self.channels))
        self.xx = np.zeros((self.groups, self.columns, self.columns), dtype=own)
        self.xy = np.zeros((self.groups, self.columns, self.channels))
        self.yy = np.zeros((self.groups, self.channels))
        self.t = np.zeros((self.groups, self.channels))
        self.tt = np.zeros((self.groups, self.channels))

    def add(self, inputs: Array, targets: Array, lacking: Array) -> None:
        """Add rows, in single precision.

        Args:
            inputs: (groups, rows, columns).
            targets: (groups, rows, channels).
            lacking: of the same shape, the targets less what the layer gives as it is.
        """
        transposed = inputs.transpose(0, 2, 1)
        self.rows += inputs.shape[1]
        self.x += inputs.sum(axis=1, dtype=np.float64)
        self.y += lacking.sum(axis=1, dtype=np.float64)
        self.t += targets.sum(axis=1, dtype=np.float64)
        self.xx += transposed @ inputs
        self.xy += transposed @ lacking
        self.yy += np.einsum("gro,gro->go", lacking, lacking, dtype=np.float64)
        self.tt += np.einsum("gro,gro->go", targets, targets, dtype=np.float64)

    def __add__(self, other: Moments) -> Moments:
        total = Moments(1, 1)
        total.__dict__.update(
            {
                k: v if k in ("columns", "channels", "groups") else v + other.__dict__[k]
                for k, v in vars(self).items()
            }
        )
        return total

    def covariance(self, *, centred: bool) -> tuple[Floats, Floats]:
        """Mean products of inputs (groups, columns, columns), and of inputs and what is lacking.

        Args:
            centred: about the means, as where a constant term is fitted beside.
        """
        n = max(1, self.rows)
        xx, xy = self.xx.astype(np.float64) / n, self.xy / n
        if centred:
            x, y = self.x / n, self.y / n
            xx -= x[:, :, None] * x[:, None, :]
            xy -= x[:, :, None] * y[:, None, :]
        return xx, xy

    def constant(self, weight: Floats) -> Floats:
        """The change of the constant term that fits best beside one of the weight, (groups, channels)."""
        term: Floats = (self.y - np.einsum("gk,gko->go", self.x, weight)) / max(1, self.rows)
        return term

    def error(self, weight: Floats, bias: Floats) -> Floats:
        """Mean squared error of each output after changes of weight and bias, (groups, channels)."""
        n = max(1, self.rows)
        product = np.einsum("gko,gko->go", weight, self.xx @ weight - 2.0 * self.xy)
        shift = bias * (n * bias - 2.0 * self.y + 2.0 * np.einsum("gk,gko->go", self.x, weight))
        mean: Floats = np.maximum(self.yy + product + shift, 0.0) / n
        return mean

    def variance(self) -> Floats:
        """Variance of each target, (groups, channels)."""
        n = max(1, self.rows)
        own: Floats = np.maximum(self.tt / n - (self.t / n) ** 2, 0.0)
        return own
