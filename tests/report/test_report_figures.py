"""Numbers and names as people read them."""

from __future__ import annotations

import pytest

from onnxprune.report import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10.00 k"),
        (269_035, "269.0 k"),
        (1.82e9, "1.82 G"),
        (3e15, "3,000 T"),
    ],
)
def test_count(value: float, text: str) -> None:
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(999, "999 B"), (457_730, "457.7 kB"), (102_340_273, "102.3 MB")]
)
def test_size(value: float, text: str) -> None:
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"), [(0, "0 %"), (0.0004, "0.0 %"), (0.5, "50 %"), (0.9996, "100.0 %"), (1, "100 %")]
)
def test_percent(fraction: float, text: str) -> None:
    assert figures.percent(fraction) == text


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [(300, 100, "3.00x smaller"), (100, 150, "1.50x larger"), (7, 7, ""), (0, 0, ""), (5, 0, "")],
)
def test_factor(before: float, after: float, text: str) -> None:
    assert figures.factor(before, after) == text


def test_nothing_is_left_of_nothing_is_all() -> None:
    assert figures.share(0, 0) == 1.0


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("conv.1/ä", "conv.1/ä"),
        ("a\tb\n", "a\\tb\\n"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\u202eb", "a\\u202eb"),
        ("\udc80", "\\udc80"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert figures.printable(name) == shown


def test_long_names_keep_their_end() -> None:
    assert figures.shortened("/features/block1/conv1/Conv", 12) == "…/conv1/Conv"
    assert figures.shortened("short", 5) == "short"


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (3.4e-7, "3e-7"), (1e-4, "1e-4"), (2.0, "2e0")])
def test_tiny(value: float, text: str) -> None:
    assert figures.tiny(value) == text
