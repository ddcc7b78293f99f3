"""From profiles at many widths to the time of each node as a function of its widths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from onnxprune.coupling.groups import Floats
from onnxprune.runtime.profile import Node, Profile

NUMBERED = re.compile(r"_token_\d+$")
"""Behind the names of nodes that optimisation puts in; the number differs from model to model."""

SAME_LENGTH = 0.1
"""How far the sizes of a node may be from those of an axis, on average, to be taken for it."""

MOST_AXES = 3
QUANTILE = 25
"""Of a node's runs: the others were disturbed."""

FOLDS = 4
PACE_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Observations:
    """What was measured.

    Attributes:
        profiles: one a design.
        lengths: (designs, axes) of the size model, rounded to blocks where ONNX Runtime does.
    """

    profiles: tuple[Profile, ...]
    lengths: Floats


@dataclass(frozen=True)
class NodeTime:
    """The time of a node: ``sum of seconds * product of the lengths of its axes``.

    Attributes:
        name: as ONNX Runtime calls it; empty for all nodes together that not every design has.
        op: operator.
        terms: (seconds, axes) pairs; no axes for what is constant.
    """

    name: str
    op: str
    terms: tuple[tuple[float, tuple[int, ...]], ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """All nodes, and how well they fit.

    Attributes:
        nodes: in the order in which they run.
        rest: (constant seconds, share of the other nodes' time) of what has no node of its own.
        error: mean deviation of a node's time at widths that were left out, as a share of the time.
        pace: slowest pace of the machine against the usual one while it measured; 1 where it was steady.
    """

    nodes: tuple[NodeTime, ...]
    rest: tuple[float, float]
    error: float
    pace: float


def fit(seen: Observations) -> Fit:
    """Fit every node's time as a bilinear function of its widths, with terms that are not negative.

    Nodes keep the time per block of channels that they have, so products of widths suffice. A pace of
    the machine that changes from one design to the next moves all nodes alike and is taken out.

    Args:
        seen: profiles and widths.
    """
    steady = [name for name in _names(seen.profiles[0]) if all(name in _names(p) for p in seen.profiles)]
    tables = [_by_name(profile) for profile in seen.profiles]
    nodes = [[table[name] for table in tables] for name in steady]
    times = np.array([[_undisturbed(node) for node in own] for own in nodes]).reshape(len(nodes), -1)
    axes = [_axes(own, seen.lengths) for own in nodes]
    features = [_features(own, seen.lengths) for own in axes]
    pace = np.ones(times.shape[1])
    for _ in range(PACE_ROUNDS):
        fitted = np.array([f @ _solved(f, t / pace) for f, t in zip(features, times, strict=True)])
        pace = _pace(times, fitted)
    times = times / pace
    terms = [
        tuple((float(c), e) for c, e in zip(_solved(f, t), _exponents(a), strict=True) if c > 0)
        for f, t, a in zip(features, times, axes, strict=True)
    ]
    others = np.array([sum(map(_undisturbed, p.nodes)) for p in seen.profiles]) / pace - times.sum(axis=0)
    rest = _solved(np.stack([np.ones(len(others)), times.sum(axis=0)], axis=1), np.maximum(others, 0.0))
    return Fit(
        nodes=tuple(NodeTime(n, own[0].op, t) for n, own, t in zip(steady, nodes, terms, strict=True)),
        rest=(float(rest[0]), float(rest[1])),
        error=_error(features, times),
        pace=float(pace.max()),
    )


def nonnegative(features: Floats, wanted: Floats) -> Floats:
    """Least squares without negative coefficients: Lawson and Hanson 1974, algorithm NNLS.

    Args:
        features: (observations, coefficients).
        wanted: (observations,)

    Returns:
        (coefficients,)
    """
    free = np.zeros(features.shape[1], dtype=bool)
    found = np.zeros(features.shape[1])
    small = 1e-10 * float(np.abs(features.T @ wanted).max(initial=0.0))
    for _ in range(3 * len(found)):
        descent = np.where(free, -np.inf, features.T @ (wanted - features @ found))
        if free.all() or descent.max() <= small:
            break
        free[int(np.argmax(descent))] = True
        trial = _least_squares(features, wanted, free)
        while trial[free].min() <= 0:
            down = free & (trial <= 0)
            step = float((found[down] / np.maximum(found[down] - trial[down], 1e-300)).min())
            found = found + step * (trial - found)
            free &= found > 1e-15 * max(1e-300, float(found.max()))
            if not free.any():
                break
            trial = _least_squares(features, wanted, free)
        found = np.where(free, trial, 0.0)
    return found


def _least_squares(features: Floats, wanted: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    found = np.zeros(features.shape[1])
    found[free] = np.linalg.lstsq(features[:, free], wanted, rcond=None)[0]
    return found


def _names(profile: Profile) -> list[str]:
    """Nodes that are the same at every width, by their names."""
    return [node.name for node in profile.nodes if not NUMBERED.search(node.name)]


def _by_name(profile: Profile) -> dict[str, Node]:
    return {node.name: node for node in profile.nodes}


def _undisturbed(node: Node) -> float:
    return float(np.percentile(node.seconds, QUANTILE))


def _axes(own: Sequence[Node], lengths: Floats) -> tuple[int, ...]:
    """Axes of the size model along which a node's operands run, found by how their sizes go together."""
    shapes = [[*node.inputs, *node.outputs] for node in own]
    if len({tuple(map(len, shape)) for shape in shapes}) > 1:
        return ()
    sizes = np.array([[dim for dims in shape for dim in dims] for shape in shapes], dtype=np.float64)
    moving = np.flatnonzero(np.ptp(lengths, axis=0) > 0)
    found: dict[int, None] = {}
    for column in sizes.T:
        if np.ptp(column) and len(moving):
            known = lengths[:, moving] / lengths[0, moving]
            distance = np.abs(column[:, None] / column[0] - known).mean(axis=0)
            if distance.min() <= SAME_LENGTH:
                found.setdefault(int(moving[int(np.argmin(distance))]))
    return tuple(sorted(list(found)[:MOST_AXES]))


def _exponents(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The terms of a node: constant, each width, each product of two."""
    return [(), *((axis,) for axis in axes), *combinations(axes, 2)]


def _features(axes: tuple[int, ...], lengths: Floats) -> Floats:
    """Values of the terms, (designs, terms)."""
    columns = [lengths[:, list(term)].prod(axis=1) for term in _exponents(axes)]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float64)


def _solved(features: Floats, times: Floats) -> Floats:
    """Coefficients (terms,), where a long time may be off by more than a short one."""
    scale = features.max(axis=0)
    weight = 1.0 / np.sqrt(np.maximum(times, 1e-7))
    found: Floats = nonnegative(features / scale * weight[:, None], times * weight) / scale
    return found


def _pace(times: Floats, fitted: Floats) -> Floats:
    """By which factor each design ran slow: the median over nodes, weighted by their time, (designs,)."""
    ratios = times / np.maximum(fitted, 1e-12)
    order = np.argsort(ratios, axis=0)
    weights = np.take_along_axis(fitted, order, axis=0).cumsum(axis=0)
    middle = (weights >= weights[-1] / 2).argmax(axis=0)
    pace = np.take_along_axis(np.take_along_axis(ratios, order, axis=0), middle[None, :], axis=0)[0]
    return np.asarray(pace / np.median(pace), dtype=np.float64)


def _error(features: Sequence[Floats], times: Floats) -> float:
    """Deviation at designs that were left out of the fit, as a share of the time."""
    off = 0.0
    folds = np.arange(times.shape[1]) % FOLDS
    for fold in range(FOLDS):
        out = folds == fold
        for own, seconds in zip(features, times, strict=True):
            off += float(np.abs(own[out] @ _solved(own[~out], seconds[~out]) - seconds[out]).sum())
    return off / float(times.sum())
