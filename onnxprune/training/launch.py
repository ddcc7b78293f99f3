"""What torchrun tells a process about the others; torch is not needed for it."""

from __future__ import annotations

import os

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def started_by_torchrun() -> bool:
    """Whether torchrun, or what sets the same variables, has started this process beside others."""
    return all(name in os.environ for name in _NAMES) and int(os.environ["WORLD_SIZE"]) > 1


def leads() -> bool:
    """Whether this process prints and writes: the first of those that work together."""
    return not started_by_torchrun() or int(os.environ["RANK"]) == 0
