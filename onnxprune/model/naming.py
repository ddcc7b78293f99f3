"""Names out of a file, as messages show them."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 160


def quoted(name: object) -> str:
    """A name in quotes, control characters escaped and an excessive length cut."""
    text = repr(str(name) if not isinstance(name, bytes) else name)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}...{text[-_LONGEST // 4 :]}"


def readable(text: str | bytes) -> str:
    """A text of a file as text: protobuf hands over what is not UTF-8 as bytes."""
    return text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")


def listed(names: Sequence[str], limit: int = 3) -> str:
    """The first few names and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
