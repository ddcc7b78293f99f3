"""The einops-like notation in which an operator states how its axes hang together.

``n (group i) !, (group o) i !, (group o) -> n (group o) !`` is a grouped convolution: one term an
operand, one word an axis.

* a letter or word names an axis; where it appears twice the axes are equated;
* ``(a b)`` is an axis whose row-major factors are named;
* ``!`` stands for any number of axes that must stay whole (spatial ones);
* ``...`` stands for any number of axes that pass through, broadcast against each other;
* a number is an axis of that length, which stays whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

WHOLE = "!"
PASSING = "..."

Word = tuple[str, ...]
"""The factor names of one axis, outermost first; a lone name is a tuple of one."""


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern: words of each operand and of each result."""

    text: str
    inputs: tuple[tuple[Word, ...], ...]
    outputs: tuple[tuple[Word, ...], ...]


_TOKEN = re.compile(r"\s*(\(([^()]*)\)|\.\.\.|!|[A-Za-z_0-9]+)")


def _parse_term(term: str, text: str) -> tuple[Word, ...]:
    words: list[Word] = []
    position = 0
    stripped = term.strip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise ValueError(f"cannot read {stripped[position:]!r} in the pattern {text!r}")
        words.append(tuple(match[2].split()) if match[2] is not None else (match[1],))
        position = match.end()
    if sum(word in ((WHOLE,), (PASSING,)) for word in words) > 1:
        raise ValueError(f"more than one run of unnamed axes in {term!r} of the pattern {text!r}")
    return tuple(words)


@lru_cache(maxsize=1024)
def parse(text: str) -> Pattern:
    """Parse a pattern; the result is shared and immutable.

    Raises:
        ValueError: the text is not in the notation.
    """
    left, arrow, right = text.partition("->")
    if not arrow:
        raise ValueError(f"no '->' in the pattern {text!r}")
    terms = [tuple(_parse_term(term, text) for term in side.split(",")) for side in (left, right)]
    return Pattern(text, terms[0], terms[1])


def is_run(word: Word) -> bool:
    """Whether the word stands for any number of axes."""
    return word in ((WHOLE,), (PASSING,))
