"""What the user wants to reach: a share of the filters, a budget, or counts that were decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, floor, isfinite, log10
from types import MappingProxyType
from typing import Literal

from onnxprune.errors import UsageError

Metric = Literal["macs", "params", "bytes"]

COUNT_UNITS: Mapping[str, float] = MappingProxyType({"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12})
BYTE_UNITS: Mapping[str, float] = MappingProxyType(
    {
        "": 1.0,
        "B": 1.0,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "TB": 1e12,
        "KiB": 2.0**10,
        "MiB": 2.0**20,
        "GiB": 2.0**30,
        "TiB": 2.0**40,
    }
)
RELATIVE = "x"
NUMBER = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+\.)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class RatioTarget:
    """A share of the units removed.

    Attributes:
        ratio: 0 (nothing) up to, but without, 1.
    """

    ratio: float


@dataclass(frozen=True)
class BudgetTarget:
    """An upper bound on a predicted size.

    Attributes:
        metric: what is bounded.
        option: the option that set it, for messages (``--macs``).
        amount: the number as the user gave it.
        unit: what the number counts, a key of the metric's units, or ``x`` for a share of the source.
        scale: the unit's value, 0 for ``x``.
    """

    metric: Metric
    option: str
    amount: float
    unit: str
    scale: float

    def limit(self, present: float) -> float:
        """The bound in MACs, parameters or bytes, given the source's figure."""
        return self.amount * (self.scale or present)

    def spell(self, value: float, present: float, *, up: bool = False) -> str:
        """A figure in the unit that the user chose, with three digits.

        Args:
            value: in MACs, parameters or bytes.
            present: the source's figure.
            up: round up, so that the text as a target admits the value.
        """
        scale = self.scale or present
        if scale <= 0 or value <= 0:
            return f"0{self.unit}"
        amount = value / scale
        step = 10.0 ** (floor(log10(amount)) - 2)
        # the small allowance keeps 0.5 from becoming 0.501 for a rounding error of the division
        steps = ceil(amount / step - 1e-6) if up else round(amount / step)
        return f"{_plain(steps * step)}{self.unit}"

    def __str__(self) -> str:
        return f"{self.option} {_plain(self.amount)}{self.unit}"


@dataclass(frozen=True)
class CountsTarget:
    """Kept counts that were decided elsewhere: by the sensitivity of single layers, by thresholds.

    Attributes:
        counts: group -> units that stay, 1 up to its size; a group that is not named keeps all. Empty
            where the thresholds of the criteria alone say what goes.
        reason: why a group that keeps all is left whole, for the report.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    reason: str = "the given counts leave it whole"


Target = RatioTarget | BudgetTarget | CountsTarget


def parse_ratio(value: str | float, *, option: str = "--ratio") -> RatioTarget:
    """The target of ``--ratio R``.

    Raises:
        UsageError: no number, or not 0 <= R < 1.
    """
    return RatioTarget(parse_share(value, option=option))


def parse_share(value: str | float, *, option: str) -> float:
    """A share of units to remove.

    Raises:
        UsageError: no number, or not 0 <= R < 1.
    """
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = float("nan")
    if not 0 <= share < 1:
        raise UsageError(
            f"{option} {value} is no share of filters to remove.",
            hint="Give a number from 0 up to, but not including, 1: 0.4 removes 40 % of them.",
        )
    return share


def parse_macs(value: str | float) -> BudgetTarget:
    """The target of ``--macs``: ``0.5x``, ``2G``, ``300M``, or a plain count.

    Raises:
        UsageError: not a positive number with such a unit.
    """
    return _budget("macs", "--macs", value, COUNT_UNITS)


def parse_params(value: str | float) -> BudgetTarget:
    """The target of ``--params``: ``0.5x``, ``1M``, or a plain count.

    Raises:
        UsageError: not a positive number with such a unit.
    """
    return _budget("params", "--params", value, COUNT_UNITS)


def parse_size(value: str | float) -> BudgetTarget:
    """The target of ``--size``: ``0.5x``, ``10MB`` (millions of bytes), ``10MiB``, or plain bytes.

    Raises:
        UsageError: not a positive number with such a unit.
    """
    return _budget("bytes", "--size", value, BYTE_UNITS)


def _budget(metric: Metric, option: str, value: str | float, units: Mapping[str, float]) -> BudgetTarget:
    known = {**units, RELATIVE: 0.0}
    match = NUMBER.fullmatch(str(value).strip())
    unit = _unit(match.group(2), known) if match else None
    amount = float(match.group(1)) if match else 0.0
    if unit is None or not isfinite(amount) or amount <= 0:
        names = ", ".join(name for name in units if name)
        raise UsageError(
            f"{option} {value} is no budget.",
            hint=f"Give a positive number, with one of the units {names}, or a share of the source: 0.5x.",
        )
    return BudgetTarget(metric, option, amount, unit, known[unit])


def _unit(text: str, known: Mapping[str, float]) -> str | None:
    """The unit as the table spells it; letter case is the user's business."""
    by_lower = {name.lower(): name for name in known}
    return by_lower.get(text.lower())


def _plain(value: float) -> str:
    """A number of up to six digits without an exponent or trailing zeros."""
    if value >= 1e6:
        return f"{value:.0f}"
    return f"{value:.9f}".rstrip("0").rstrip(".") if value < 1 else f"{value:.6g}"
