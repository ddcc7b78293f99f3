"""Similarity of the filters by the angle between their rank-1 prototypes.

Singh and Plumbley 2022, "A Passive Similarity based CNN Filter Pruning for Efficient Acoustic Scene
Classification" (arXiv 2203.15751). A filter is a matrix A, (kernel positions, channels); the first
column of its rank-1 approximation u v', scaled to length 1, is its prototype: the spatial pattern
that the filter looks for. Filters whose prototypes have a small cosine distance 1 - cos are taken to
answer alike, and from each closest pair one is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.agglomeration import agglomerate
from onnxprune.criteria.norms import absolute_sums
from onnxprune.criteria.registry import as_it_is, choose, register
from onnxprune.criteria.vectors import unit_vectors
from onnxprune.criteria.weights import Mask, Weights, finite

FARTHEST = 2.0
"""The cosine distance of opposite vectors."""

BLOCK = 256
"""Filters whose singular vectors are computed at a time."""


def _kernel(filters: Floats) -> Floats:
    """u, with the sign of the first channel's part of v, (filters, positions).

    The eigenvectors of the small matrices A A' are the left singular vectors. A filter of a single
    position is its own prototype: u would be a number, and every two of them alike.
    """
    count, channels, positions = filters.shape
    if positions == 1 or not channels:
        return filters.reshape(count, channels * positions)
    found = np.empty((count, positions))
    for start in range(0, count, BLOCK):
        block = filters[start : start + BLOCK]
        _, vectors = np.linalg.eigh(np.einsum("fcp,fcq->fpq", block, block))
        left = vectors[:, :, -1]
        sign = np.einsum("fp,fp->f", left, block[:, 0])
        found[start : start + BLOCK] = np.where(sign < 0, -1.0, 1.0)[:, None] * left
    found[~filters.any(axis=(1, 2))] = 0
    return found


def _whole(filters: Floats) -> Floats:
    """The filter itself, (filters, channels * positions)."""
    return filters.reshape(len(filters), -1)


PROTOTYPES: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType({"rank1": _kernel, "filter": _whole})
"""What stands for a filter, by the name that a user types."""


def closest_pairs(group: Group, weights: Weights, *, prototype: str) -> Mask:
    """The paper's own rule: units that go without a ratio or a threshold, (units,).

    Every filter names the one closest to it. In the order of these distances a filter is kept unless
    one kept before has named it. So of two filters that are each other's closest one goes, and a
    filter that somebody else is closer to stays. The paper leaves open which of two comes first, as
    their distance is the same; here it is the one with the larger L1 norm, then the first. Zero
    filters go in any case, all but the last unit.
    """
    distances, zero = _distances(group, weights, prototype)
    alive = weights.alive(group)
    places = np.flatnonzero(alive & ~zero)
    gone: Mask = alive & zero
    if not len(places):
        gone[np.flatnonzero(gone)[-1:]] = False
        return gone
    near = np.nan_to_num(distances[np.ix_(places, places)], nan=FARTHEST)
    np.fill_diagonal(near, np.inf)
    named = near.argmin(axis=1)
    order = np.lexsort((-_norms(group, weights)[places], near.min(axis=1)))
    red: set[int] = set()
    for own in order.tolist() if len(places) > 1 else ():
        if own in red:
            gone[places[own]] = True
        else:
            red.add(int(named[own]))
    return gone


@register("cosine", threshold=as_it_is, rule=closest_pairs, prototype="rank1")
def cosine(group: Group, weights: Weights, *, prototype: str) -> Floats:
    """Cosine distance to the unit that stands in when the unit goes, (units,), 0 to 2.

    Pairs go in increasing distance, of each the unit with the smaller L1 norm. Where several layers
    share the units, the cosines of their filters are averaged, whatever the reduction: two units are
    alike when they are alike everywhere. A unit whose filters are zero everywhere is replaced by any
    other, at distance 0.

    Args:
        group: whose units are scored.
        weights: of the model.
        prototype: ``rank1`` as in the paper, or ``filter``: all weights of the filter, which tells
            filters apart that look for the same pattern in different channels.
    """
    distances, zero = _distances(group, weights, prototype)
    distances[zero] = distances[:, zero] = 0.0
    return agglomerate(distances, _norms(group, weights), weights.alive(group), farthest=FARTHEST)


def _norms(group: Group, weights: Weights) -> Floats:
    """L1 norm of each unit, (units,)."""
    return weights.reduced(group, group.filters(), lambda s: absolute_sums(group, s, weights))


def _distances(group: Group, weights: Weights, prototype: str) -> tuple[Floats, Mask]:
    """Mean cosine distances over the slices, (units, units), and which units are zero in all of them."""
    choose("prototype", prototype, PROTOTYPES)
    total = np.zeros((group.size, group.size))
    count = np.zeros((group.size, group.size))
    zero = np.ones(group.size, dtype=bool)
    for found in group.filters():
        filters = finite(weights.kernels(found).astype(np.float64))
        vectors, held = unit_vectors(group, found, PROTOTYPES[prototype](filters))
        lengths = np.linalg.norm(vectors, axis=1)
        vectors = vectors / np.where(lengths > 0, lengths, 1.0)[:, None]
        total += vectors @ vectors.T
        count += np.outer(held, held)
        zero &= lengths == 0
    with np.errstate(invalid="ignore"):
        distances: Floats = np.clip(1.0 - total / count, 0.0, FARTHEST)
    return distances, zero
