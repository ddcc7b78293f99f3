"""What can be measured of a unit on data: a type a statistic, so that a set of them says what to gather.

A unit's activation is what the layers that read it see. Where several values carry a unit (the layers of a
residual stream) each has statistics of its own, and the criterion's reduction makes one score of them. The
indices of a unit within a value (a channel that was flattened, a dimension of several heads) count as further
positions of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Statistic:
    """Base of all that can be asked for. Each is one array a value that carries the units of a group."""


@dataclass(frozen=True)
class Mean(Statistic):
    """Mean over the positions of each sample, (samples, units): global average pooling."""


@dataclass(frozen=True)
class MeanSquare(Statistic):
    """Mean of the squares over the positions of each sample, (samples, units)."""


@dataclass(frozen=True)
class ZeroShare(Statistic):
    """Share of the positions of each sample at which the activation is zero, (samples, units), 0 to 1."""


@dataclass(frozen=True)
class Covariance(Statistic):
    """Covariance of the units over all samples and positions, (units, units)."""


@dataclass(frozen=True)
class MapRank(Statistic):
    """Rank of each sample's feature map as a matrix, (samples looked at, units).

    Attributes:
        samples: how many samples to look at, from the first on: each takes a singular value decomposition
            a channel.
    """

    samples: int


class Loss(Enum):
    """What is differentiated."""

    LABELS = "labels"  # cross-entropy of the first output with the labels
    SAMPLED = "sampled"  # cross-entropy with labels drawn from the model's own prediction
    OUTPUTS = "outputs"  # the outputs, summed with random signs


@dataclass(frozen=True)
class Gate(Statistic):
    """Derivative of each sample's loss by a factor on the unit, at 1, (samples, units).

    The factor stands before every layer that reads the unit, all of them together, so there is one array a
    group. To first order its negative is what the loss gains when the unit goes.

    Attributes:
        loss: what is differentiated.
    """

    loss: Loss


@dataclass(frozen=True)
class RemovalLoss(Statistic):
    """What the readers of a unit lose when it goes and their other weights make up for it, (units,).

    One array a group, none for groups that no layer reads with a constant weight.
    """
