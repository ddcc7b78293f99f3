"""Latency as a target, in the user's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType

from onnxprune.errors import UsageError
from onnxprune.plan.targets import NUMBER, RELATIVE

TIME_UNITS: Mapping[str, float] = MappingProxyType({"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0})
"""Seconds."""


@dataclass(frozen=True)
class LatencyTarget:
    """An upper bound on the measured latency.

    Attributes:
        option: the option that set it, for messages (``--latency``).
        text: its value as the user wrote it.
        amount: seconds, or a share of the source's latency.
        relative: which of the two.
    """

    option: str
    text: str
    amount: float
    relative: bool

    def limit(self, source: float) -> float:
        """The bound in seconds, given the source's latency in seconds."""
        return self.amount * source if self.relative else self.amount

    def spell(self, seconds: float, source: float) -> str:
        """A latency in the terms of the target."""
        if not self.relative:
            return f"{1e3 * seconds:.3g}ms"
        share = seconds / source
        return f"{1 / share:.3g}x" if self.option == "--speedup" else f"{share:.3g}x"

    def __str__(self) -> str:
        return f"{self.option} {self.text}"


def parse_latency(value: str | float) -> LatencyTarget:
    """The target of ``--latency``: ``3ms``, ``500us``, or a share of the source, ``0.5x``.

    Raises:
        UsageError: not a positive number with such a unit.
    """
    text = str(value).strip()
    match = NUMBER.fullmatch(text.replace("µ", "u"))
    amount, unit = (float(match[1]), match[2].lower()) if match else (0.0, "")
    if not (unit == RELATIVE or unit in TIME_UNITS) or not isfinite(amount) or amount <= 0:
        raise UsageError(
            f"--latency {text} is no latency.",
            hint="Give a time, such as 3ms or 500us, or a share of the source: 0.5x.",
        )
    relative = unit == RELATIVE
    return LatencyTarget("--latency", text, amount if relative else amount * TIME_UNITS[unit], relative)


def parse_speedup(value: str | float) -> LatencyTarget:
    """The target of ``--speedup 2x``: half the latency.

    Raises:
        UsageError: not a number from 1.
    """
    text = str(value).strip()
    match = NUMBER.fullmatch(text)
    amount = float(match[1]) if match and match[2].lower() in ("", RELATIVE) else 0.0
    if not isfinite(amount) or amount < 1:
        raise UsageError(
            f"--speedup {text} is no speed-up.", hint="Give how many times as fast: 2x halves the latency."
        )
    return LatencyTarget("--speedup", text, 1.0 / amount, True)
