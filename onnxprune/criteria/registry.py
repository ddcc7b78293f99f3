"""Criteria by name: one decorated function each, the user's own included."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from onnxprune.calibration.statistics import Statistic
from onnxprune.coupling.groups import Floats, Group
from onnxprune.criteria.weights import Mask, Weights
from onnxprune.errors import UsageError

Score = Callable[[Group, Weights], Floats]
"""Importance of each unit of a group, (units,), higher = more important."""

Option = float | int | str | bool

Needs = frozenset[Statistic]
"""What has to be measured on data before a criterion can score."""

Bound = Callable[[float], float]
"""The user's threshold -> the score below which units go."""

Rule = Callable[[Group, Weights], Mask]
"""Which units go, (units,), by a rule of the method's own that needs no number."""

NOTHING: Needs = frozenset()

GROUP = "onnxprune.criteria"
"""Entry points of other packages under this name are criteria too."""


@dataclass(frozen=True)
class Entry:
    """A registered criterion.

    Attributes:
        score: the function; takes its options as keyword arguments.
        defaults: options by name, whose types the user's text is converted to.
        needs: what it reads beside the weights, given its options as keyword arguments.
        threshold: how the number after the colon is read; None where the method has none.
        rule: which units go where the user says neither a threshold nor a target; takes the options too.
        losses: whether scores are losses on one scale, which may be added up and weighed against costs.
    """

    score: Callable[..., Floats]
    defaults: Mapping[str, Option] = field(default_factory=lambda: MappingProxyType({}))
    needs: Callable[..., Needs] = lambda **_: NOTHING
    threshold: Bound | None = None
    rule: Callable[..., Mask] | None = None
    losses: bool = False


_ENTRIES: dict[str, Entry] = {}


def register(
    name: str,
    *,
    needs: Needs | Callable[..., Needs] = NOTHING,
    threshold: Bound | None = None,
    rule: Callable[..., Mask] | None = None,
    losses: bool = False,
    **defaults: Option,
) -> Callable[[Callable[..., Floats]], Callable[..., Floats]]:
    """Decorator that makes a score function known by a name.

    Args:
        name: what the user types after ``--criterion``.
        needs: the statistics that the function reads with ``weights.observed``, or a function of the
            options that gives them.
        threshold: makes of the number in ``NAME:number`` the score below which units go, for methods that
            have such a number; ``as_it_is`` where it is the score itself.
        rule: which units go where there is neither a threshold nor a target, for methods that say so
            themselves; called as the function is.
        losses: whether the scores of all groups are losses on one scale: they are compared across groups as
            they are, and weighed against what a unit saves.
        defaults: options of the function with their defaults, all passed by keyword.

    Raises:
        ValueError: the name is taken, or is no plain word.
    """

    def add(score: Callable[..., Floats]) -> Callable[..., Floats]:
        if not name.isidentifier():
            raise ValueError(f"a criterion's name must be a plain word, {name!r} is not.")
        if name in _ENTRIES:
            raise ValueError(f"a criterion named {name!r} is registered already.")
        needed = needs if callable(needs) else lambda **_: needs
        _ENTRIES[name] = Entry(score, MappingProxyType(dict(defaults)), needed, threshold, rule, losses)
        return score

    return add


def as_it_is(threshold: float) -> float:
    """The bound on the score where the user's number is one."""
    return threshold


def known() -> tuple[str, ...]:
    """Names of the registered criteria, those of installed packages included, sorted."""
    return tuple(sorted({*_ENTRIES, *_offered()}))


def is_built_in(name: str) -> bool:
    """Whether a criterion belongs to onnxprune itself."""
    return name in _ENTRIES and _ENTRIES[name].score.__module__.startswith("onnxprune.")


def find(name: str) -> Entry:
    """The criterion of a registered name, of an installed package, or of ``package.module:function``.

    Raises:
        UsageError: no such criterion.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    if ":" in name:
        return entry_of(_load(name))
    offered = _offered().get(name)
    if offered is not None:
        return entry_of(_load(offered.value))
    raise UsageError(
        f"there is no criterion {name!r}.",
        hint=_suggestion(name, known()) + " Your own function is named as package.module:function.",
    )


def entry_of(score: Callable[..., Floats]) -> Entry:
    """How a function is registered; a bare function has no options and needs no data."""
    bare = Entry(score, threshold=as_it_is)
    return next((entry for entry in _ENTRIES.values() if entry.score is score), bare)


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


def _offered() -> dict[str, EntryPoint]:
    """Criteria that installed packages announce, by name."""
    return {point.name: point for point in entry_points(group=GROUP)}


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
