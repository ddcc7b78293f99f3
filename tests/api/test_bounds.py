"""Bounds on figures that were measured."""

from __future__ import annotations

import pytest

from onnxprune.api.bounds import (
    check_drop,
    check_relative,
    missed_costs,
    missed_metrics,
    parse_at_most,
    parse_bounds,
    parse_max_size,
)
from onnxprune.errors import UsageError
from onnxprune.plan.drop import parse_drop


def row(name: str, *, reference: bool = False, **metrics: float) -> dict:
    own = {key: {"value": value, "interval": [value, value]} for key, value in metrics.items()}
    return {"model": name, "reference": reference, "metrics": own}


FOUND = {
    "models": [row("a", reference=True, accuracy=0.92, log_loss=0.3), row("b", accuracy=0.9, log_loss=0.4)]
}
COSTS = {
    "models": [{"model": "a", "bytes": 1000}, {"model": "b", "bytes": 600}],
    "results": [
        {
            "threads": 1,
            "models": [
                {"model": "a", "batch": 1, "p50_ms": 4.0, "p50_interval_ms": [3.9, 4.1]},
                {
                    "model": "b",
                    "batch": 1,
                    "p50_ms": 3.0,
                    "p50_interval_ms": [2.9, 3.1],
                    "ratio": 0.75,
                    "ratio_interval": [0.72, 0.78],
                },
            ],
        }
    ],
}


@pytest.mark.parametrize(
    ("least", "most", "missed"),
    [
        (["accuracy=0.9"], [], 0),
        (["accuracy=90%"], [], 0),
        (["accuracy=0.91"], [], 1),
        ([], ["log_loss=0.4"], 0),
        (["accuracy=0.95"], ["log_loss=0.35"], 2),
    ],
)
def test_bounds_on_metrics_are_for_the_models_that_are_compared(
    least: list[str], most: list[str], missed: int
) -> None:
    told = list(missed_metrics(FOUND, parse_bounds(least, most)))
    assert len(told) == missed
    assert not [text for text in told if " a has" in text]


def test_one_model_alone_is_judged() -> None:
    (told,) = missed_metrics({"models": [row("a", accuracy=0.5)]}, parse_bounds(["accuracy=0.9"]))
    assert told == "--at-least accuracy=0.9: a has 50 %"


@pytest.mark.parametrize(
    ("points", "missed"), [("2", []), ("1.5", ["--max-drop 1.5: accuracy of b falls by 2 points"])]
)
def test_a_drop_is_told_in_points(points: str, missed: list[str]) -> None:
    assert list(missed_metrics(FOUND, (), parse_drop(points))) == missed


def test_without_labels_agreement_drops_from_all() -> None:
    found = {"models": [row("a", reference=True, agreement=1.0), row("b", agreement=0.97)]}
    assert list(missed_metrics(found, (), parse_drop("3"))) == []
    assert len(list(missed_metrics(found, (), parse_drop("2")))) == 1


@pytest.mark.parametrize(
    ("latency", "size", "missed"),
    [
        ("0.8x", "0.6x", 0),
        ("0.73x", None, 0),  # within the interval
        ("0.7x", None, 1),
        ("3ms", "600", 0),
        ("2.8ms", "599", 2),
        ("5ms", "0.5x", 1),
    ],
)
def test_bounds_on_costs(latency: str | None, size: str | None, missed: int) -> None:
    assert len(list(missed_costs(COSTS, parse_at_most(latency), parse_max_size(size)))) == missed


@pytest.mark.parametrize("text", ["accuracy", "accuracy=", "accuracy=x", "accuracy=91", "nosuch=1"])
def test_what_is_no_bound(text: str) -> None:
    with pytest.raises(UsageError):
        parse_bounds([text])


def test_what_cannot_be_compared() -> None:
    for bound in (parse_at_most("0.5x"), parse_max_size("0.5x")):
        with pytest.raises(UsageError, match="first model"):
            check_relative(1, bound)
        check_relative(2, bound)
    check_relative(1, parse_at_most("3ms"), parse_max_size("1MB"))
    with pytest.raises(UsageError, match="--at-most 5 is no latency"):
        parse_at_most("5")
    with pytest.raises(UsageError, match="--max-drop 1 compares"):
        check_drop(parse_drop("1"), 1, taught=False)
    with pytest.raises(UsageError, match="no top5"):
        list(missed_metrics(FOUND, parse_bounds(["top5=0.9"])))
