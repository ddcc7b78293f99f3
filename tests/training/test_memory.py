"""Memory that is freed stays with the process while a model is trained."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, resource
from contextlib import nullcontext
from onnxprune.training.memory import freed_memory_kept

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
SIZE = 48 << 20  # larger than what glibc keeps by itself

def use():
    block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(SIZE)))
    ctypes.memset(block, 1, SIZE)
    libc.free(block)

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        use()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with {context}:
    use()
    print(faults(5))
print(faults(5))
print(libc.mallopt(-3, 1 << 30))  # refused by old ones
"""


def page_faults(context: str) -> tuple[int, int]:
    """Page faults of five allocations inside of a context and behind it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(context=context)],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))},
    )
    inside, behind, tuned = map(int, done.stdout.split())
    if not tuned:
        pytest.skip("this glibc takes no large thresholds")
    return inside, behind


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is tuned")
def test_freed_memory_is_used_again() -> None:
    without = page_faults("nullcontext()")
    inside, behind = page_faults("freed_memory_kept()")
    assert inside < without[0] / 5
    assert behind > inside  # given back to the system again
