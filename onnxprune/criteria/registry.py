"""Criteria by name: one decorated function each, the user's own included."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType

from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.weights import Weights
from onnxprune.errors import UsageError

Score = Callable[[Group, Weights], Floats]
"""Importance of each unit of a group, (units,), higher = more important."""

Option = float | int | str | bool


@dataclass(frozen=True)
class Entry:
    """A registered criterion.

    Attributes:
        score: the function; takes its options as keyword arguments.
        defaults: options by name, whose types the user's text is converted to.
    """

    score: Callable[..., Floats]
    defaults: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))


_ENTRIES: dict[str, Entry] = {}


def register(name: str, **defaults: Option) -> Callable[[Callable[..., Floats]], Callable[..., Floats]]:
    """Decorator that makes a score function known by a name.

    Args:
        name: what the user types after ``--criterion``.
        defaults: options of the function with their defaults, all passed by keyword.

    Raises:
        ValueError: the name is taken, or is no plain word.
    """

    def add(score: Callable[..., Floats]) -> Callable[..., Floats]:
        if not name.isidentifier():
            raise ValueError(f"a criterion's name must be a plain word, {name!r} is not.")
        if name in _ENTRIES:
            raise ValueError(f"a criterion named {name!r} is registered already.")
        _ENTRIES[name] = Entry(score, MappingProxyType(dict(defaults)))
        return score

    return add


def known() -> tuple[str, ...]:
    """Names of the registered criteria, sorted."""
    return tuple(sorted(_ENTRIES))


def find(name: str) -> Entry:
    """The criterion of a registered name, or of ``package.module:function``.

    Raises:
        UsageError: no such criterion.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    if ":" in name:
        return Entry(_load(name))
    raise UsageError(
        f"there is no criterion {name!r}.",
        hint=_suggestion(name, known()) + " Your own function is named as package.module:function.",
    )


def choose(kind: str, name: str, table: Mapping[str, object]) -> str:
    """The name itself where the table has it.

    Raises:
        UsageError: the table has no such entry; names those that it has.
    """
    if name not in table:
        raise UsageError(f"there is no {kind} {name!r}.", hint=_suggestion(name, tuple(table)))
    return name


def _suggestion(name: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return f"{guess}Known: {', '.join(names)}."


def _load(path: str) -> Callable[..., Floats]:
    """The function that ``package.module:function`` names."""
    module_name, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"the criterion {path!r} cannot be loaded: {error}.",
            hint="Name it as package.module:function, importable from where Python runs.",
        ) from error
    if not callable(found):
        raise UsageError(f"the criterion {path!r} is no function.")
    loaded: Callable[..., Floats] = found
    return loaded
