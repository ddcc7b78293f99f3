"""Option groups: a verb takes a few frozen dataclasses, typer sees the options in them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

Verb = Callable[..., int]
"""A verb of the command line; returns the exit code."""


def flat(verb: Verb) -> Verb:
    """The verb with every parameter that is a dataclass spread into its fields.

    A group of options is declared once, as a frozen dataclass of ``Annotated`` fields, and joins a
    verb by being one of its parameters::

        def bench(model: ModelPath, run: RunOptions) -> int: ...

    Raises:
        TypeError: two groups of one verb have a field of the same name.
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: dict[str, inspect.Parameter] = {}
    for name, parameter in inspect.signature(verb).parameters.items():
        spread = _fields(groups[name]) if name in groups else [parameter.replace(annotation=hints[name])]
        for own in spread:
            if own.name in parameters:
                raise TypeError(f"{verb.__name__}: the option {own.name!r} is declared twice.")
            parameters[own.name] = own.replace(kind=inspect.Parameter.KEYWORD_ONLY)

    @wraps(verb)
    def call(**values: Any) -> int:
        made = {
            name: group(**{f.name: values.pop(f.name) for f in fields(group)})
            for name, group in groups.items()
        }
        return verb(**values, **made)

    call.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    call.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return call


def _fields(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(group)
    ]
