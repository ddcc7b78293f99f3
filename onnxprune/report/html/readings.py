"""Figures out of sections of a report whose form is not fixed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

UNITS = {"_ms": "ms", "_us": "µs", "_s": "s"}
"""Ends of keys, and the unit that they say."""

_CENTRES = ("median", "p50", "value", "mean", "latency")
_LOWS = ("p5", "p05", "p10", "p25", "q1", "low", "min")
_HIGHS = ("p95", "p90", "p75", "q3", "high", "max")
_FEWEST_SAMPLES = 3
_MOST_SAMPLES = 200


@dataclass(frozen=True)
class Reading:
    """A figure that was measured.

    Attributes:
        title: of which stage or model.
        value: the figure.
        low: lower end of its interval, None where there is none.
        high: upper end of it.
        samples: single measurements, a few hundred at most.
        confident: whether the interval says how sure the figure is; it is the spread of single
            measurements otherwise.
        verdict: what whoever measured says of the change, empty where nothing.
    """

    title: str
    value: float
    low: float | None = None
    high: float | None = None
    samples: tuple[float, ...] = ()
    confident: bool = False
    verdict: str = ""

    @property
    def sure(self) -> tuple[float, float] | None:
        """The interval, where both ends are finite and apart."""
        if self.low is None or self.high is None or not (isfinite(self.low) and isfinite(self.high)):
            return None
        return (self.low, self.high) if self.low < self.high else None


def rows_of(
    section: Mapping[str, Any], inside: str, names: Collection[str]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, Any]]:
    """What holds figures, by name, and what does not.

    Args:
        section: of a report.
        inside: a key that may hold the rows, as a mapping or as a list of what names itself.
        names: keys under which a plain number is a row too.
    """
    nested = section.get(inside)
    rows: dict[str, Mapping[str, Any]] = {}
    facts: dict[str, Any] = {}
    if isinstance(nested, Mapping | list | tuple):
        facts = {key: value for key, value in section.items() if key != inside}
        section = nested if isinstance(nested, Mapping) else dict(_named(nested))
    for name, held in section.items():
        if isinstance(held, Mapping):
            rows[str(name)] = held
        elif is_number(held) and name in names:
            rows[str(name)] = {"value": held}
        else:
            facts[str(name)] = held
    return rows, facts


def reading(title: str, found: object) -> Reading | None:
    """A figure out of a number, or out of a mapping that holds one; None where there is none."""
    if isinstance(found, int | float) and is_number(found):
        return Reading(title, float(found))
    if not isinstance(found, Mapping):
        return None
    plain = {bare(str(key)): value for key, value in found.items()}
    numbers = {key: float(value) for key, value in plain.items() if is_number(value)}
    centre = next((key for key in _CENTRES if key in numbers), None)
    if centre is None:
        return None
    lists = (v for v in plain.values() if _are_numbers(v, _FEWEST_SAMPLES))
    own = Reading(
        title,
        numbers[centre],
        samples=tuple(float(v) for v in next(lists, ())[:_MOST_SAMPLES]),
        verdict=str(plain.get("verdict", "")),
    )
    interval = plain.get(f"{centre}_interval", plain.get("interval"))
    if isinstance(interval, list | tuple) and _are_numbers(interval, 2):
        return replace(own, low=float(interval[0]), high=float(interval[1]), confident=True)
    return replace(own, low=_first(numbers, _LOWS), high=_first(numbers, _HIGHS))


def plain_facts(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What can be said in a few words."""
    told = []
    for key, value in facts.items():
        text = plain_text(value, between=" – " if key.endswith("interval") else " → ")
        if text:
            told.append((key.replace("_", " "), text))
    return tuple(told)


def plain_text(value: object, between: str = " → ") -> str:
    """A text, a number, or two of them; empty for anything else.

    Args:
        value: to be written.
        between: what stands between two numbers.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and len(value) == 2 and all(map(is_number, value)):
        return between.join(map(plain_text, value))
    if not is_number(value):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def unit_of(models: Iterable[Mapping[str, Any]]) -> str:
    """The unit that the keys say; milliseconds where they say none."""
    keys = [str(key) for held in models for key in held]
    return next((unit for end, unit in UNITS.items() if any(key.endswith(end) for key in keys)), "ms")


def bare(key: str) -> str:
    """A key without the unit at its end."""
    return next((key.removesuffix(end) for end in UNITS if key.endswith(end)), key)


def is_number(value: object) -> bool:
    """Whether a value is a number and no switch."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_numbers(value: Any, least: int) -> bool:
    return isinstance(value, list | tuple) and len(value) >= least and all(map(is_number, value))


def _first(numbers: Mapping[str, float], keys: Iterable[str]) -> float | None:
    return next((numbers[key] for key in keys if key in numbers), None)


def _named(items: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Entries of a list by what they call themselves."""
    for place, item in enumerate(items, start=1):
        if isinstance(item, Mapping):
            own = next((item[key] for key in ("stage", "name", "model") if key in item), place)
            yield str(own), item
