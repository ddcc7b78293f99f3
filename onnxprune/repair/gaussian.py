"""Functions of normal variables: their means and covariances."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, sqrt

import numpy as np
from numpy.polynomial import hermite_e

from onnxprune.coupling.groups import Floats
from onnxprune.repair.moments import Moments

REACH = 6.0
"""Standard deviations on both sides of the mean that are looked at."""

POINTS = 1201
"""Grid points: the mean of a rectified variable comes out to a millionth of its deviation."""

TERMS = 6
"""Terms of the series; what is missing behind them is taken to be one more."""

_GRID = np.linspace(-REACH, REACH, POINTS)
_DENSITY = np.exp(-(_GRID**2) / 2)
_SHARES = _DENSITY / _DENSITY.sum()
_POLYNOMIALS = np.stack(
    [hermite_e.hermeval(_GRID, np.eye(TERMS + 1)[k]) / sqrt(factorial(k)) for k in range(TERMS + 1)], axis=1
)

Function = Callable[[Floats], Floats]
"""Element by element."""


def through(moments: Moments, function: Function) -> Moments:
    """Moments of ``function(y)`` for jointly normal y.

    With f(y_i) = sum_k c_ik h_k(z_i) in normalised Hermite polynomials of the standardised variable, the
    covariance of two of them is sum_{k>0} c_ik c_jk r_ij^k (Mehler). For max(y, 0) the mean is
    ``m Phi(m / s) + s phi(m / s)``.

    Args:
        moments: of y; units of which nothing is known stay unknown.
        function: applied to (units, points).
    """
    deviation = np.sqrt(np.maximum(np.diagonal(moments.covariance), 0.0))
    values = function(moments.mean[:, None] + deviation[:, None] * _GRID)
    weights = values @ (_SHARES[:, None] * _POLYNOMIALS)
    mean, weights = weights[:, 0], weights[:, 1:]
    variance = ((values - mean[:, None]) ** 2) @ _SHARES
    rest = np.sqrt(np.maximum(variance - (weights**2).sum(axis=1), 0.0))
    weights = np.concatenate([weights, rest[:, None]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.clip(moments.covariance / np.outer(deviation, deviation), -1.0, 1.0)
    r = np.where(np.isfinite(r), r, 0.0)
    covariance = np.zeros_like(r)
    power = np.ones_like(r)
    for k in range(weights.shape[1]):
        power = power * r
        covariance += power * np.outer(weights[:, k], weights[:, k])
    np.fill_diagonal(covariance, variance)
    return Moments(mean, covariance)
