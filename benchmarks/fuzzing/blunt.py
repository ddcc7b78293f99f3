"""Damage to bytes, as transfers, disks and editors do it, without any knowledge of what they mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Blunt = Callable[[np.random.Generator, bytes], bytes]


def truncated(rng: np.random.Generator, data: bytes) -> bytes:
    """The beginning, often nearly all of it."""
    if rng.random() < 0.3:
        return data[: -int(rng.integers(1, 33))]
    return data[: int(rng.integers(len(data)))]


def flipped(rng: np.random.Generator, data: bytes) -> bytes:
    """One to sixteen bits the other way round, two times in three near the start or the end."""
    changed = bytearray(data)
    for place in _places(rng, len(data), int(2 ** rng.integers(0, 5))):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def overwritten(rng: np.random.Generator, data: bytes) -> bytes:
    """A few bytes that are 0, 1, 127, 128, 255 or anything."""
    changed = bytearray(data)
    for place in _places(rng, len(data), int(rng.integers(1, 9))):
        changed[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))]))
    return bytes(changed)


def zeroed(rng: np.random.Generator, data: bytes) -> bytes:
    """A run of zeros, as a hole in a file leaves it."""
    start, length = _run(rng, data)
    return data[:start] + bytes(length) + data[start + length :]


def without(rng: np.random.Generator, data: bytes) -> bytes:
    """A run of bytes is missing."""
    start, length = _run(rng, data)
    return data[:start] + data[start + length :]


def repeated(rng: np.random.Generator, data: bytes) -> bytes:
    """A run of bytes stands there twice."""
    start, length = _run(rng, data)
    return data[: start + length] + data[start:]


def moved(rng: np.random.Generator, data: bytes) -> bytes:
    """A run of bytes stands somewhere else."""
    start, length = _run(rng, data)
    rest = data[:start] + data[start + length :]
    place = int(rng.integers(len(rest) + 1))
    return rest[:place] + data[start : start + length] + rest[place:]


def padded(rng: np.random.Generator, data: bytes) -> bytes:
    """Bytes of any kind before or behind."""
    more = rng.bytes(int(rng.integers(1, 64)))
    return more + data if rng.random() < 0.5 else data + more


BLUNT: tuple[Blunt, ...] = (truncated, flipped, overwritten, zeroed, without, repeated, moved, padded)


def _places(rng: np.random.Generator, size: int, count: int) -> list[int]:
    """Positions: the graph of a model lies at both ends, and its weights in between."""
    window = size if rng.random() < 0.34 else min(size, 2048)
    base = 0 if rng.random() < 0.5 else size - window
    return [base + int(place) for place in rng.integers(window, size=count)]


def _run(rng: np.random.Generator, data: bytes) -> tuple[int, int]:
    start = _places(rng, len(data), 1)[0]
    return start, min(len(data) - start, int(2 ** rng.integers(0, 11)))
