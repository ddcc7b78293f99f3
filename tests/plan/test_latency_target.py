import pytest

from onnxprune.errors import UsageError
from onnxprune.plan.latency import parse_latency, parse_speedup

SOURCE = 8e-3


@pytest.mark.parametrize(
    ("parse", "text", "limit"),
    [
        (parse_latency, "0.5x", 4e-3),
        (parse_latency, "3ms", 3e-3),
        (parse_latency, "3 MS", 3e-3),
        (parse_latency, "750us", 7.5e-4),
        (parse_latency, "750µs", 7.5e-4),
        (parse_latency, "0.002s", 2e-3),
        (parse_speedup, "2x", 4e-3),
        (parse_speedup, 4, 2e-3),
        (parse_speedup, "1", SOURCE),
    ],
)
def test_a_latency_is_a_time_or_a_share(parse, text, limit):
    assert parse(text).limit(SOURCE) == pytest.approx(limit)


@pytest.mark.parametrize("text", ["3", "0x", "-1ms", "fast", "", "3 apples", "nan"])
def test_what_is_no_latency_is_repeated(text):
    with pytest.raises(UsageError, match="--latency") as caught:
        parse_latency(text)
    assert "3ms" in caught.value.hint


@pytest.mark.parametrize("text", ["0.5x", "0", "2ms", "twice", ""])
def test_what_is_no_speed_up_is_repeated(text):
    with pytest.raises(UsageError, match="--speedup"):
        parse_speedup(text)


def test_latencies_are_spelled_as_they_were_asked_for():
    assert str(parse_latency(" 3ms ")) == "--latency 3ms"
    assert parse_latency("3ms").spell(0.0025, SOURCE) == "2.5ms"
    assert parse_latency("0.5x").spell(0.002, SOURCE) == "0.25x"
    assert parse_speedup("2x").spell(0.002, SOURCE) == "4x"
