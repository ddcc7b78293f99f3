"""Random choices that depend on the seed, the epoch and the sample alone.

Nothing is drawn from a generator that moves on: a run that is taken up again, or that several processes
share, draws the same without keeping any state.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from onnxprune.coupling.groups import Indices


class Purpose(IntEnum):
    """What is drawn; each purpose has numbers of its own."""

    VALIDATION = 1
    ORDER = 2
    IMAGES = 3
    MIXUP = 4
    MODULE = 5
    CUTMIX = 6


def generator(seed: int, purpose: Purpose, epoch: int = 0) -> np.random.Generator:
    """Numbers for one purpose in one epoch."""
    return np.random.default_rng((seed, int(purpose), epoch))


def order(count: int, seed: int, epoch: int) -> Indices:
    """The order in which an epoch goes through the samples: (count,) positions."""
    return generator(seed, Purpose.ORDER, epoch).permutation(count)


def step_seed(seed: int, step: int, rank: int) -> int:
    """What the generators of torch start a step with, for layers such as Dropout."""
    return int(np.random.SeedSequence((seed, int(Purpose.MODULE), step, rank)).generate_state(1)[0])
