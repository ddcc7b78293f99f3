"""How many units each group loses, before alignment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from onnxprune.coupling.groups import Floats, Group, Indices
from onnxprune.criteria.registry import choose

EPSILON = 1e-9
"""Keeps 10 * (1 - 0.4) from being 5.999... units."""

FLOOR = 0.1
"""Share of its units that a group keeps at least where groups compete."""

Allocation = Callable[[float], Indices]
"""Ratio -> kept counts, (groups,)."""


@dataclass(frozen=True)
class Scope:
    """Which groups' units are ranked against each other.

    Attributes:
        pool: name of the pool that a group's units compete in.
        across_groups: whether a pool may hold several groups, so that scores must be comparable.
    """

    pool: Callable[[Group], str]
    across_groups: bool


SCOPES: Mapping[str, Scope] = MappingProxyType(
    {
        # every group loses the ratio
        "local": Scope(lambda group: group.name, across_groups=False),
        # one threshold for the whole model
        "global": Scope(lambda group: "", across_groups=True),
        # one threshold for all groups of the same structure: Fang et al. 2024, "Isomorphic Pruning
        # for Vision Models" (arXiv 2407.04616)
        "isomorphic": Scope(lambda group: group.signature or f"only {group.name}", across_groups=True),
    }
)
"""The scopes by the name that a user types."""


def scope(name: str) -> Scope:
    """The scope of a name.

    Raises:
        UsageError: there is no such scope.
    """
    return SCOPES[choose("scope", name, SCOPES)]


def kept_count(size: int, ratio: float) -> int:
    """Units that a group of ``size`` keeps when it loses the share ``ratio``; at least one."""
    return max(1, int(np.floor(size * (1.0 - ratio) + EPSILON)))


def allocation(groups: Sequence[Group], scores: Sequence[Floats], chosen: Scope) -> Allocation:
    """Prepares the split of a ratio over groups.

    Each pool loses its lowest-scoring units until the share of units removed from the pool is the
    ratio. A group that shares a pool keeps at least a tenth of its units (less only where the
    ratio itself exceeds nine tenths) and at least one. Ties go by group order, then by index.

    Args:
        groups: (groups,) those that may lose units.
        scores: for each of them (units,), comparable within a pool.
        chosen: which groups share a pool.

    Returns:
        A function from the ratio to the kept counts, (groups,).
    """
    names = [chosen.pool(group) for group in groups]
    pools = {name: position for position, name in enumerate(dict.fromkeys(names))}
    pool_of = np.array([pools[name] for name in names], dtype=np.int64)
    sizes = np.array([group.size for group in groups], dtype=np.int64)
    owner = np.repeat(np.arange(len(groups)), sizes)
    ranks = np.concatenate([np.arange(0), *(np.arange(size) for size in sizes)])
    ordered = np.concatenate([np.zeros(0), *(np.sort(score) for score in scores)])
    order = np.lexsort((ranks, owner, ordered, pool_of[owner]))
    owner, ranks = owner[order], ranks[order]
    pool_sizes = np.bincount(pool_of, weights=sizes, minlength=len(pools))

    def allocate(ratio: float) -> Indices:
        least = np.maximum(1, np.floor(sizes * min(FLOOR, 1.0 - ratio) + EPSILON)).astype(np.int64)
        quota = pool_sizes - np.floor(pool_sizes * (1.0 - ratio) + EPSILON)
        free = ranks < (sizes - least)[owner]
        so_far = np.cumsum(free)
        free_by_pool = np.bincount(pool_of[owner], weights=free, minlength=len(pools))
        before = np.cumsum(free_by_pool) - free_by_pool
        gone = free & (so_far - before[pool_of[owner]] <= quota[pool_of[owner]])
        return sizes - np.bincount(owner[gone], minlength=len(groups))

    return allocate
