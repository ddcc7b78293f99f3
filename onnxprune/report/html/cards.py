"""The figures that a person looks for first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onnxprune.report.document import Change
from onnxprune.report.figures import factor, percent, share
from onnxprune.report.markdown import FIGURES

COUNTED = {"smaller": "fewer", "larger": "more"}
"""How a change is called where things are counted."""


@dataclass(frozen=True)
class Card:
    """One total.

    Attributes:
        title: what is counted.
        times: how many times smaller or larger, such as ``2.67``; empty where nothing changed.
        word: ``fewer``, ``more``, for sizes ``smaller`` or ``larger``; ``unchanged`` where it is.
        before: of the source, in words.
        after: of the result, in words.
        left: share of it, 0 to 1 and above.
        percent: the same in words.
    """

    title: str
    times: str
    word: str
    before: str
    after: str
    left: float
    percent: str


def cards(totals: Mapping[str, Change]) -> tuple[Card, ...]:
    """A card for each total, in the order of all reports."""
    made = []
    for title, name, spell in FIGURES:
        before, after = totals[name]
        times, _, word = factor(before, after).partition("x ")
        word = word if name == "bytes" else COUNTED.get(word, word)
        left = share(before, after)
        made.append(Card(title, times, word or "unchanged", spell(before), spell(after), left, percent(left)))
    return tuple(made)
