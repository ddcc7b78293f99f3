"""Several scans that keep their figures in one place at the same time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from onnxprune.evaluation import Figure
from onnxprune.sensitivity.cache import Cache

KEY = {"model": "m", "samples": "s"}
FIGURES = {"accuracy": Figure(0.5, 0.4, 0.6)}
WRITERS, ROUNDS = 4, 10


def put(cache: Cache, group: str, kept: int) -> None:
    cache.put(group, np.arange(kept), FIGURES, how="masked", note="")


def test_nobody_loses_what_another_one_has_measured(tmp_path: Path) -> None:
    """All begin with an empty cache and save after every point."""
    caches = [Cache(tmp_path, KEY) for _ in range(WRITERS)]

    def scan(own: int) -> None:
        for kept in range(ROUNDS):
            put(caches[own], f"layer{own}", kept)
            put(caches[own], "shared", own * ROUNDS + kept)
            caches[own].save()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(scan, range(WRITERS)))
    found = Cache(tmp_path, KEY)
    for own in range(WRITERS):
        for kept in range(ROUNDS):
            assert found.get(f"layer{own}", np.arange(kept)) == FIGURES
            assert found.get("shared", np.arange(own * ROUNDS + kept)) == FIGURES
    assert len(list(tmp_path.iterdir())) == 1


def test_figures_of_another_key_stay_away(tmp_path: Path) -> None:
    first, second = Cache(tmp_path, KEY), Cache(tmp_path, {**KEY, "samples": "others"})
    put(first, "layer", 1)
    first.save()
    second.save()
    assert Cache(tmp_path, {**KEY, "samples": "others"}).get("layer", np.arange(1)) is None
    assert Cache(tmp_path, KEY).get("layer", np.arange(1)) == FIGURES


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1}', b"whole"])
def test_a_file_that_is_no_cache_is_replaced(tmp_path: Path, content: bytes) -> None:
    cache = Cache(tmp_path, KEY)
    put(cache, "layer", 1)
    cache.save()
    (path,) = tmp_path.iterdir()
    whole = json.loads(path.read_bytes())
    path.write_bytes(
        json.dumps({**whole, "points": {"layer": 3}}).encode() if content == b"whole" else content
    )
    cache.save()
    assert json.loads(path.read_bytes()) == whole
