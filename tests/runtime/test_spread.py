import numpy as np
import pytest

from onnxprune.runtime.spread import NOISE, Ratio, ratio, timing

RNG = np.random.default_rng(0)
STEADY = 1e-3 * (1 + 0.01 * RNG.standard_normal((40, 5)))


def test_quantiles_and_what_surrounds_them():
    found = timing(STEADY)
    assert found.quantiles[50] < found.quantiles[90] < found.quantiles[99]
    assert (found.rounds, found.runs) == (40, 200)
    for q, value in found.quantiles.items():
        low, high = found.intervals[q]
        assert low <= value <= high
    told = found.to_dict()
    assert told["p50_ms"] == pytest.approx(1.0, rel=0.01)
    assert len(told["samples_ms"]) == 40
    assert told == timing(STEADY).to_dict()


@pytest.mark.parametrize(
    ("factor", "verdict"), [(0.5, "faster"), (2.0, "slower"), (1.0, "within noise"), (1.01, "within noise")]
)
def test_the_verdict_follows_the_ratio(factor, verdict):
    other = factor * 1e-3 * (1 + 0.01 * np.random.default_rng(1).standard_normal((40, 3)))
    found = ratio(other, STEADY)
    assert found.value == pytest.approx(factor, rel=0.02)
    assert found.verdict == verdict
    low, high = found.interval
    assert low <= found.value <= high


def test_rounds_are_compared_one_by_one():
    """A machine that doubles its pace half-way does not blur the comparison."""
    pace = np.repeat([1.0, 2.0], 20)[:, None]
    found = ratio(0.9 * pace * STEADY, pace * STEADY)
    assert found.value == pytest.approx(0.9)
    assert found.interval == pytest.approx((0.9, 0.9))


@pytest.mark.parametrize(
    ("value", "interval", "verdict"),
    [
        (0.9, (0.8, 1.05), "within noise"),
        (1 - NOISE / 2, (0.985, 0.995), "within noise"),
        (0.9, (0.85, 0.95), "faster"),
        (1.2, (1.1, 1.3), "slower"),
    ],
)
def test_chance_is_called_noise(value, interval, verdict):
    assert Ratio(value, interval).verdict == verdict
