"""Numbers and names as people read them."""

from __future__ import annotations

from math import isfinite

_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float) -> str:
    """A number of parameters, MACs or filters: exact up to 9,999, four digits above."""
    if abs(value) < 10_000:
        return f"{value:,.0f}"
    return _scaled(value, "")


def size(nbytes: float) -> str:
    """A number of bytes in decimal units, as ``--size`` reads them."""
    return f"{nbytes:.0f} B" if abs(nbytes) < 1000 else _scaled(nbytes, "B")


def share(before: float, after: float) -> float:
    """What is left, 0 to 1; 1 where there was nothing."""
    return after / before if before else 1.0


def percent(fraction: float) -> str:
    """A share as a whole percentage; one decimal where whole ones would read 0, or hide a change."""
    text = f"{100 * fraction:.0f} %"
    near_an_end = (text == "100 %" and fraction < 1) or (text == "0 %" and fraction > 0)
    return f"{100 * fraction:.1f} %" if near_an_end else text


def factor(before: float, after: float) -> str:
    """How many times smaller, empty where nothing changed or nothing is left to compare."""
    if not before or not after or before == after:
        return ""
    if after > before:
        return f"{_digits(after / before)}x larger"
    return f"{_digits(before / after)}x smaller"


def significant(value: float) -> str:
    """Three digits, zeros at the end included: figures in a column are equally exact."""
    return f"{value:#.3g}".rstrip(".") if isfinite(value) and abs(value) < 1000 else f"{value:.3g}"


def plural(number: int, noun: str) -> str:
    """``1 layer``, ``2 layers``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printable(text: object) -> str:
    """A name out of a file with everything escaped that a terminal could act on or not show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def shortened(text: str, width: int) -> str:
    """A name cut at its head: what tells layers apart stands at the end."""
    if len(text) <= width:
        return text
    return f"…{text[len(text) - width + 1 :]}" if width > 1 else text[:width]


def tiny(value: float) -> str:
    """A small error in one digit, such as 3e-7."""
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if value and exponent else "0"


def _scaled(value: float, unit: str) -> str:
    for scale, prefix in _STEPS:
        if abs(value) >= scale:
            return f"{_digits(value / scale)} {prefix}{unit}"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    """Four digits from 1,000 on, three below."""
    decimals = 0 if value >= 1000 else 1 if value >= 100 else 2 if value >= 1 else 3
    return f"{value:,.{decimals}f}"
