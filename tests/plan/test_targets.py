import pytest

from onnxprune.errors import UsageError
from onnxprune.plan import parse_macs, parse_params, parse_ratio, parse_size

PRESENT = 8e9


@pytest.mark.parametrize(("value", "ratio"), [("0", 0.0), ("0.4", 0.4), (0.999, 0.999), ("4e-1", 0.4)])
def test_a_ratio_is_a_share_below_one(value, ratio):
    assert parse_ratio(value).ratio == ratio


@pytest.mark.parametrize("value", ["1", "-0.1", "nan", "inf", "40%", "", "half", 1.0])
def test_what_is_no_share_is_repeated_in_the_message(value):
    with pytest.raises(UsageError) as caught:
        parse_ratio(value)
    assert f"--ratio {value}" in caught.value.message
    assert "0.4 removes 40 %" in caught.value.hint


@pytest.mark.parametrize(
    ("parse", "text", "metric", "limit"),
    [
        (parse_macs, "0.5x", "macs", PRESENT / 2),
        (parse_macs, "2G", "macs", 2e9),
        (parse_macs, "300M", "macs", 3e8),
        (parse_macs, " 1.5 g ", "macs", 1.5e9),
        (parse_macs, ".5X", "macs", PRESENT / 2),
        (parse_macs, 300_000_000, "macs", 3e8),
        (parse_params, "1M", "params", 1e6),
        (parse_params, "250k", "params", 250e3),
        (parse_params, "2.", "params", 2.0),
        (parse_size, "10MB", "bytes", 10e6),
        (parse_size, "10MiB", "bytes", 10 * 2**20),
        (parse_size, "512kib", "bytes", 2**19),
        (parse_size, "1234B", "bytes", 1234.0),
        (parse_size, "1e6", "bytes", 1e6),
        (parse_size, "0.25x", "bytes", PRESENT / 4),
    ],
)
def test_budgets_are_shares_or_amounts(parse, text, metric, limit):
    target = parse(text)
    assert target.metric == metric
    assert target.limit(PRESENT) == pytest.approx(limit)


@pytest.mark.parametrize("text", ["", "x", "0x", "-1G", "2Q", "1 2", "0", "5%", "1e999G", "1MBB", None])
@pytest.mark.parametrize(("parse", "option"), [(parse_macs, "--macs"), (parse_size, "--size")])
def test_what_is_no_budget_is_repeated_with_the_units(parse, option, text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert f"{option} {text}" in caught.value.message
    assert "0.5x" in caught.value.hint


@pytest.mark.parametrize(
    ("parse", "text", "value", "spelled"),
    [
        (parse_macs, "2G", 1_234_567_890, "1.24G"),
        (parse_macs, "300M", 7_000_000, "7M"),
        (parse_macs, "0.5x", 0.1234 * PRESENT, "0.124x"),
        (parse_macs, "0.5x", 0.5 * PRESENT, "0.5x"),
        (parse_macs, "0.001x", 0.00012341 * PRESENT, "0.000124x"),
        (parse_size, "10MiB", 3 * 2**20, "3MiB"),
        (parse_params, "5", 123_456_789, "124000000"),
        (parse_params, "1M", 0.0, "0M"),
    ],
)
def test_a_figure_is_spelled_in_the_users_unit_and_meets_the_bound_it_spells(parse, text, value, spelled):
    assert parse(text).spell(value, PRESENT, up=True) == spelled
    if value:
        assert parse(spelled).limit(PRESENT) >= value * (1 - 1e-6)


def test_a_target_reads_as_it_was_typed():
    assert str(parse_macs("0.50x")) == "--macs 0.5x"
    assert str(parse_size("10mb")) == "--size 10MB"
