"""Memory that a step of training frees and the next one wants again."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Numbers of two parameters in glibc's malloc.h."""

_NEVER = -1
_LARGE = 1 << 30
_LARGEST_KNOWN = 32 << 20
"""Bytes. What the C library goes up to by itself, and what older ones take at most."""


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let the C library keep what is freed, for a while.

    By itself glibc gives tensors of many megabytes back to the system when they are freed, and each step of a
    training asks for the same ones again, page by page. Behind it, what is free goes back at once, and the
    thresholds stay where glibc has them once a program has freed large blocks. Other C libraries are left as
    they are, and so is glibc where the user has tuned it.
    """
    found = _glibc()
    if found is None:
        yield
        return
    tune, trim = found
    if not tune(_MMAP_THRESHOLD, _LARGE):
        tune(_MMAP_THRESHOLD, _LARGEST_KNOWN)
    tune(_TRIM_THRESHOLD, _NEVER)
    try:
        yield
    finally:
        tune(_MMAP_THRESHOLD, _LARGEST_KNOWN)
        tune(_TRIM_THRESHOLD, 2 * _LARGEST_KNOWN)
        trim(0)


def _glibc() -> tuple[Callable[[int, int], int], Callable[[int], int]] | None:
    """``mallopt`` and ``malloc_trim``."""
    tuned = "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ)
    if tuned or sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library.mallopt, library.malloc_trim
