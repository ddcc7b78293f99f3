"""Channel counts at which ONNX Runtime's convolutions are fast.

ONNX Runtime computes convolutions in blocks of channels as wide as a vector register, and leaves
that path altogether where a convolution reads a channel count that is no multiple of 4. Between
two multiples of the block the time does not change, so a count on the block grid is free speed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import gcd, lcm
from pathlib import Path

import numpy as np

from onnxprune.coupling.groups import Group, Indices
from onnxprune.errors import UsageError

SAFE = 4
"""Below this granularity a convolution leaves the fast path."""

GRID_BY_FLAG: tuple[tuple[str, int], ...] = (("avx512f", 16), ("avx2", 8))
"""Processor flag and block width, best first."""

OTHER_GRID = 8
"""Where the flags cannot be read, or name nothing known."""


@lru_cache(maxsize=8)
def fast_grid(cpuinfo: Path = Path("/proc/cpuinfo")) -> int:
    """Channels in one block of this machine's convolutions.

    Args:
        cpuinfo: where Linux lists the processor's flags; elsewhere the file is missing, and the
            answer is a width that suits most processors.
    """
    try:
        flags = set(re.findall(r"\w+", cpuinfo.read_text(encoding="utf-8", errors="replace")))
    except OSError:
        return OTHER_GRID
    return next((grid for flag, grid in GRID_BY_FLAG if flag in flags), OTHER_GRID)


def parse_align(value: str | int) -> int:
    """The grid of ``--align auto|off|N``; 1 is off.

    Raises:
        UsageError: none of these.
    """
    text = str(value).strip().lower()
    if text == "auto":
        return fast_grid()
    if text == "off":
        return 1
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise UsageError(
        f"--align {value} is no alignment.", hint="Give auto, off, or the number of channels to align to."
    )


def levels(grid: int) -> tuple[int, ...]:
    """The grid, and the finer ones to fall back to on short axes, widest first."""
    found = [grid]
    while found[-1] > SAFE and found[-1] % (2 * SAFE) == 0:
        found.append(found[-1] // 2)
    return tuple(found) if found[-1] <= SAFE else (*found, SAFE)


def admissible_counts(group: Group, grid: int, *, wanted: int | None = None) -> Indices:
    """Kept unit counts of a group that keep its convolutions fast, ascending; all units are the last.

    Args:
        group: its size and steps.
        grid: of channels, 1 = no alignment.
        wanted: a count to stay near. Where it lies below the first cell, the cells of the
            fall-back grids below that join: a narrow layer is still cut as far as was asked.

    Cases:
        1. No convolution is involved, or the grid is 1: every count from 1.
        2. The axis has at least two cells of the grid, or of one of its fall-backs: the multiples
           of the widest of these.
        3. It has only one cell of 4: that one.
        4. It is shorter than 4, so off the fast path already: every count.
        5. It is exactly one cell of 4: all units or none, so all.
    """
    size = group.size
    if grid <= 1 or not group.steps:
        return np.arange(1, size + 1)
    strides = [unit_stride(group.steps, level) for level in levels(grid)]
    if size < strides[-1]:
        return np.arange(1, size + 1)
    counts = _multiples(next((s for s in strides if size // s >= 2), strides[-1]), size)
    for stride in strides:
        if wanted is None or wanted >= counts[0]:
            break
        counts = np.union1d(np.arange(stride, counts[0], stride), counts)
    return counts


def unit_stride(steps: tuple[int, ...], grid: int) -> int:
    """The smallest count of units that is a multiple of the grid on every axis."""
    return lcm(*(grid // gcd(grid, step) for step in steps))


def _multiples(stride: int, size: int) -> Indices:
    """Multiples of the stride up to the size, and the size itself."""
    return np.unique(np.append(np.arange(stride, size + 1, stride), size))
