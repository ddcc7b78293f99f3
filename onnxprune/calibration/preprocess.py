"""How preprocessing is written down: a text, a TOML file, a mapping."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

from onnxprune.calibration.steps import Preprocess, Size, Steps
from onnxprune.errors import UsageError
from onnxprune.model.naming import quoted

IMAGENET_MEAN = "0.485 0.456 0.406"
IMAGENET_STD = "0.229 0.224 0.225"

PRESETS: Mapping[str, Mapping[str, str]] = {
    "raw": {},
    "unit": {"scale": "1/255"},
    "signed": {"scale": "1/127.5", "mean": "1"},
    "imagenet": {
        "resize": "256",
        "crop": "224",
        "scale": "1/255",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
    },
}
"""Pixels as they are; from 0 to 1; from -1 to 1 as MobileNet and Inception of Keras take them; as the
classifiers of torchvision take them."""

LAYOUTS = ("auto", "nchw", "nhwc")
CHANNELS = ("auto", "rgb", "bgr", "gray")
INTERPOLATIONS = ("bilinear", "bicubic", "nearest", "lanczos")

Given: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""The text of ``--preprocess``, the path of a ``.toml`` file, or what such a file would hold."""

_MOST_SIZES, _MOST_DIGITS = 2, 5
"""Numbers of a size of images, and digits of each."""
_LONGEST_NUMBER = 40
_EXPONENT = re.compile(r"e[+-]?\d{4}", re.IGNORECASE)
_LIST = re.compile(r"[;\s]+")
_EXAMPLE = 'An example: --preprocess "scale=1/255,mean=0.485;0.456;0.406,std=0.229;0.224;0.225".'


def parse_preprocess(given: Given | None) -> Preprocess:
    """Read a specification.

    Args:
        given: text, path of a ``.toml`` file, or a mapping; None for nothing at all.

    Raises:
        UsageError: the file is missing or no TOML, or the specification makes no sense.
    """
    if given is None:
        return Preprocess()
    if isinstance(given, Mapping):
        return _from_table(given)
    text = os.fspath(given)
    if text.lower().endswith(".toml"):
        return _from_table(_read(Path(text)))
    return Preprocess(_steps(_items(text)))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"--preprocess {quoted(path)} cannot be read: {exc.strerror}.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UsageError(
            f"--preprocess {quoted(path)} is no TOML: {exc}.", hint='One key a line, such as scale = "1/255".'
        ) from exc


def _from_table(table: Mapping[str, Any]) -> Preprocess:
    """Keys for the only input, and a table for each that is named."""
    named = {name: _steps(list(own.items())) for name, own in table.items() if isinstance(own, Mapping)}
    own = [(key, value) for key, value in table.items() if not isinstance(value, Mapping)]
    return Preprocess(_steps(own) if own else None, named)


def _items(text: str) -> list[tuple[str, Any]]:
    """Pairs of the text; a word without a value is a preset, a number belongs to the list before it."""
    items: list[tuple[str, Any]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            items.append((key.strip().lower(), value.strip()))
        elif items and items[-1][0] in ("mean", "std") and _is_number(part):
            items[-1] = (items[-1][0], f"{items[-1][1]};{part}")
        else:
            if part.lower() in _READERS:
                raise _wrong(part.lower(), "", "a value, as in scale=1/255")
            items.append(("preset", part))
    if not items:
        raise UsageError("--preprocess says nothing.", hint=_EXAMPLE)
    return items


def _steps(items: Sequence[tuple[str, Any]]) -> Steps:
    """The steps of some keys, later ones in place of earlier ones."""
    found: dict[str, Any] = {}
    for key, value in items:
        if key == "preset":
            own = PRESETS[_choice("preset", str(value).lower(), tuple(PRESETS))]
            found.update((name, _READERS[name](name, text)) for name, text in own.items())
        elif key in _READERS:
            found[key] = _READERS[key](key, value)
        else:
            raise _unknown("key", key, (*_READERS, "preset"))
    return _checked(replace(Steps(values_stated=any(key in _ABOUT_VALUES for key, _ in items)), **found))


def _checked(steps: Steps) -> Steps:
    if not all(steps.std):
        raise UsageError(
            "--preprocess: std=0 divides by zero.", hint="Leave std out where nothing is divided."
        )
    several = {len(values) for values in (steps.mean, steps.std)} - {1}
    if len(several) > 1:
        raise UsageError(
            f"--preprocess: mean has {len(steps.mean)} numbers, std has {len(steps.std)}.",
            hint="Give one number, or one a channel.",
        )
    return steps


def _number(key: str, given: Any) -> float:
    """A number, or a fraction such as 1/255."""
    try:
        top, slash, bottom = str(given).partition("/")
        if len(top) > _LONGEST_NUMBER or len(bottom) > _LONGEST_NUMBER or _EXPONENT.search(str(given)):
            raise ValueError("too long")  # an exact power of ten takes as many digits
        value = Fraction(top.strip()) / Fraction(bottom.strip() if slash else "1")
        return float(value)
    except (ValueError, ZeroDivisionError, OverflowError) as exc:
        raise _wrong(key, given, "a number such as 0.5 or 1/255") from exc


def _is_number(text: str) -> bool:
    try:
        _number("", text)
    except UsageError:
        return False
    return True


def _numbers(key: str, given: Any) -> tuple[float, ...]:
    many = given if _is_list(given) else _LIST.split(str(given))
    if not many:
        raise _wrong(key, given, "one number, or one a channel")
    return tuple(_number(key, value) for value in many)


def _size(least: int) -> Callable[[str, Any], Size | None]:
    """Reads one number of pixels or two, each at least so many."""

    def read(key: str, given: Any) -> Size | None:
        text = "x".join(map(str, given)) if _is_list(given) else str(given).lower()
        if text in ("none", "off"):
            return None
        sizes = text.split("x")
        fine = len(sizes) <= _MOST_SIZES and all(
            size.isdecimal() and len(size) <= _MOST_DIGITS and int(size) >= least for size in sizes
        )
        if not fine:
            raise _wrong(key, given, "pixels as 224, as 240x320 (height x width), or none")
        return tuple(map(int, sizes))

    return read


def _is_list(given: Any) -> bool:
    return isinstance(given, Sequence) and not isinstance(given, str)


def _word(choices: tuple[str, ...]) -> Callable[[str, Any], str]:
    def read(key: str, given: Any) -> str:
        return _choice(key, str(given).lower(), choices)

    return read


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "scale": _number,
    "mean": _numbers,
    "std": _numbers,
    "layout": _word(LAYOUTS),
    "channels": _word(CHANNELS),
    "resize": _size(1),
    "interpolation": _word(INTERPOLATIONS),
    "crop": _size(1),
    "pad": _size(0),
}
"""How the value of each key is read."""

_ABOUT_VALUES = frozenset(["preset", "scale", "mean", "std"])
"""Keys that say what the values of the samples become."""


def _choice(kind: str, name: str, choices: tuple[str, ...]) -> str:
    if name not in choices:
        raise _unknown(kind, name, choices)
    return name


def _unknown(kind: str, name: str, choices: tuple[str, ...]) -> UsageError:
    close = get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    known = ", ".join(choice for choice in choices)
    return UsageError(
        f"--preprocess: there is no {kind} {quoted(name)}.", hint=f"{guess}Known: {known}. {_EXAMPLE}"
    )


def _wrong(key: str, given: Any, wanted: str) -> UsageError:
    try:
        shown = quoted(given)[1:-1]
    except ValueError:  # whole numbers of thousands of digits have no text in Python
        shown = "(a number without end)"
    return UsageError(
        f"--preprocess: {quoted(key)[1:-1]}={shown} is not understood.", hint=f"It takes {wanted}."
    )
