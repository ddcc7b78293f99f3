"""How far two runs of a network lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from onnxprune.model.constants import Array

_TINY = 1e-12
"""Added to the largest magnitude, so that outputs of zeros can be compared."""


@dataclass(frozen=True)
class Difference:
    """The output that differs most.

    Attributes:
        error: ``max|p - q| / max|p|``; infinite where shapes, types or the places of non-finite
            values differ.
        output: its name.
        detail: what differs other than values, or empty.
        informative: whether any finite value was compared.
    """

    error: float = 0.0
    output: str = ""
    detail: str = ""
    informative: bool = False


def compare(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Difference:
    """The largest difference over all outputs, the wanted ones being the reference."""
    worst = Difference()
    informative = False
    for name, value in wanted.items():
        own = _compare_output(name, value, found[name])
        informative |= own.informative
        if own.error > worst.error or not worst.output:
            worst = own
    return Difference(worst.error, worst.output, worst.detail, informative)


def _compare_output(name: str, wanted: Any, found: Any) -> Difference:
    left, right = list(_arrays(wanted)), list(_arrays(found))
    if len(left) != len(right):
        return Difference(inf, name, f"{len(left)} tensors became {len(right)}")
    error, informative = 0.0, False
    for p, q in zip(left, right, strict=True):
        if p.shape != q.shape:
            return Difference(inf, name, f"its shape {list(p.shape)} became {list(q.shape)}")
        if p.dtype != q.dtype:
            return Difference(inf, name, f"its type {p.dtype} became {q.dtype}")
        if p.dtype.kind in "OUS":
            error = max(error, 0.0 if np.array_equal(p, q) else inf)
            continue
        own = _distance(p, q)
        if own == inf:
            return Difference(inf, name, "NaN or infinite values appear at other places")
        error = max(error, own)
        informative |= bool(np.isfinite(p).any())
    return Difference(error, name, "", informative)


def _distance(p: Array, q: Array) -> float:
    """Relative error of two arrays of one shape.

    For integers (classes, quantised values) the share of elements that differ, if that is less: a tie
    that falls the other way is no large error, however far apart the numbers of two classes are.
    """
    if not p.size:
        return 0.0
    whole = p.dtype.kind in "iub"
    differ = float(np.count_nonzero(p != q)) / p.size if whole else inf
    p, q = p.astype(np.float64), q.astype(np.float64)
    finite = np.isfinite(p)
    if not np.array_equal(finite, np.isfinite(q)):
        return inf
    if not finite.all():
        p, q = np.where(finite, p, 0.0), np.where(finite, q, 0.0)
    return min(differ, float(np.abs(p - q).max() / (np.abs(p).max() + _TINY)))


def _arrays(value: Any) -> Iterator[Array]:
    """The tensors of an output, which may be a sequence or a map of them."""
    if isinstance(value, dict):
        yield np.asarray(list(value))
        yield np.asarray(list(value.values()))
    elif isinstance(value, list):
        for part in value:
            yield from _arrays(part)
    elif value is not None:
        yield np.asarray(value)
