"""Random subsets and parts of samples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from takers import fed, image_taker, labelled

from onnxprune.calibration import ArraySamples, Batch, Samples, open_samples, split
from onnxprune.calibration.choosing import chosen
from onnxprune.errors import UsageError

X = np.arange(100, dtype=np.float32).reshape(50, 2)
Y = np.arange(50)
MODEL = image_taker("n", 2, classes=50)


class Plain:
    """Samples with nothing but what the protocol asks for."""

    count, labelled, description = 50, True, "plain"

    def batches(self, size: int) -> Iterator[Batch]:
        yield from ArraySamples({"image": X}, Y).batches(size)

    def part(self, start: int, stop: int) -> Samples:
        return ArraySamples({"image": X}, Y).part(start, stop)


SOURCES = {
    "opened": lambda: open_samples((X, Y), MODEL),
    "arrays": lambda: ArraySamples({"image": X}, Y),
    "plain": Plain,
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.999])
def test_a_split_divides_at_random(kind: str, share: float) -> None:
    kept, held = split(SOURCES[kind](), share, seed=1)
    assert held.count == min(max(round(50 * share), 1), 49)
    assert sorted(labelled(kept) + labelled(held)) == Y.tolist()
    assert labelled(held) == sorted(labelled(held))
    assert np.array_equal(fed(held)["image"], X[labelled(held)])
    again = split(SOURCES[kind](), share, seed=1)[1]
    assert labelled(again) == labelled(held)
    assert held.count in (1, 49) or labelled(split(SOURCES[kind](), share, seed=2)[1]) != labelled(held)


@pytest.mark.parametrize("kind", SOURCES)
def test_parts_of_a_split(kind: str) -> None:
    kept = split(SOURCES[kind](), 0.5)[0]
    for size in (1, 4, 25, 100):
        lengths = [len(batch) for batch in kept.batches(size)]
        assert sum(lengths) == 25
        assert set(lengths[:-1]) <= {min(size, 25)}
        assert labelled(kept, size) == labelled(kept, 7)
    assert labelled(kept.part(3, 9)) == labelled(kept)[3:9]
    assert labelled(split(kept, 0.2)[1]) == [
        label for label in labelled(kept) if label in labelled(split(kept, 0.2)[1])
    ]
    assert kept.labelled


def test_what_cannot_be_divided() -> None:
    for share in (0, 1, -0.1, 2):
        with pytest.raises(UsageError, match="cannot be held back"):
            split(Plain(), share)
    with pytest.raises(UsageError, match="One sample"):
        split(ArraySamples({"image": X[:1]}), 0.5)


def test_a_choice_is_a_matter_of_the_seed() -> None:
    rows = chosen(1000, 100, 5)
    assert len(set(rows.tolist())) == 100
    assert np.array_equal(rows, np.sort(rows))
    assert np.array_equal(rows, chosen(1000, 100, 5))
    assert not np.array_equal(rows, chosen(1000, 100, 6))
    assert np.array_equal(chosen(3, None, 0), [0, 1, 2])
    assert np.array_equal(chosen(3, 9, 0), [0, 1, 2])
    with pytest.raises(UsageError, match="--samples 0"):
        chosen(3, 0, 0)
