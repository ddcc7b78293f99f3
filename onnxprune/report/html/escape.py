"""Names out of a file on their way into a page."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from onnxprune.report.figures import printable, shortened

LONGEST = 88
"""Characters of a name that a page shows; the whole name is in the title beside it."""


def shown(value: Any) -> Any:
    """What a template prints of a value; escaping of HTML follows behind it.

    Characters that a person cannot see, or that turn the writing direction around, are written as
    escapes. Everything that a template prints passes through here.
    """
    return value if isinstance(value, Markup) or not isinstance(value, str) else printable(value)


def name(text: str, width: int = LONGEST, whole: str = "") -> Markup:
    """A name that keeps its direction to itself, cut at its head where it is long.

    Args:
        text: to be shown.
        width: most characters of it.
        whole: the name that the text is short for; itself if not given.
    """
    whole = printable(whole or text)
    short = shortened(printable(text), width)
    if short == whole:
        return Markup("<bdi>{}</bdi>").format(whole)
    return Markup('<bdi title="{}">{}</bdi>').format(whole, short)


def decimal(value: float) -> str:
    """A coordinate in as few characters as two decimals take."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
