"""The graph of a ``.pt2`` file: JSON in which every text that torch would evaluate has to be harmless."""

from __future__ import annotations

import json
import re
from typing import Any

SAFE_TARGETS = re.compile(
    r"torch\.ops\.(?:aten|prims|prim|torchvision|quantized_decomposed)\.\w+\.\w+"
    r"|torch\.ops\.higher_order\.(?:cond|while_loop|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|torch\._?sym_\w+"
    r"|_operator\.(?:getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(?:ceil|floor|trunc|sqrt)"
)
"""Functions that a node may call."""

UNSAFE_OPERATORS = frozenset({"from_file"})
"""Of ATen's, those that reach out of the program."""

NAME = re.compile(r"[\w.:$/+-]*")
"""Names of values and parameters: torch makes Python source from them."""

_WORDS = frozenset(
    """Symbol Integer Float Rational Add Mul Pow Mod PythonMod FloorDiv CeilDiv CleanDiv ModularIndexing Where
    Min Max Eq Ne Lt Le Gt Ge Not And Or PowByNatural FloatPow FloatTrueDiv IntTrueDiv TruncToInt TruncToFloat
    CeilToInt FloorToInt RoundToInt ToFloat Identity True False oo int_oo evaluate
    positive negative nonnegative nonzero integer real""".split()
)
_EXPRESSION = re.compile(r"'\w{1,64}'|(?P<word>[A-Za-z_]\w*)|\d{1,18}(?:\.\d+)?|[-+*/%(),=<>&|~ ]")
_SYMBOL = re.compile(r"[suz]+\d+")

_TREE_TYPES = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_FREE_TEXT = frozenset({"as_string", "as_strings"})
"""Constants: torch only ever prints these with their quotes."""
_METADATA = ("nn_module_stack", "torch_fn")
"""Of what is said about a node, what only names things."""
_TREES = ("in_spec", "out_spec")


class UnsafeTextError(ValueError):
    """A text in a program is not of the few kinds that are let through."""


def checked_program(program: dict[str, Any]) -> dict[str, Any]:
    """A program without what is not needed to read its graph.

    Args:
        program: the JSON of ``models/model.json``.

    Raises:
        UnsafeTextError: a text in it would be evaluated, and is not known to be harmless.
    """
    checked = _checked(program, "")
    checked["guards_code"] = []
    return dict(checked)


def _checked(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {_name(k): _entry(k, inner) for k, inner in value.items()}
    if isinstance(value, list):
        return [_checked(inner, key) for inner in value]
    if isinstance(value, str) and key not in _FREE_TEXT:
        return _TEXTS.get(key, _name)(value)
    return value


def _entry(key: str, value: Any) -> Any:
    if key == "guards_code":
        return []
    if key == "metadata":
        return {name: value[name] for name in _METADATA if name in value}
    if key == "as_custom_obj" or (key == "custom_obj_values" and value):
        raise UnsafeTextError("an object of a class of its own")
    return _checked(value, key)


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise UnsafeTextError(f"the name {text[:80]!r}")
    return text


def _target(text: str) -> str:
    if not SAFE_TARGETS.fullmatch(text) or text.split(".")[-2] in UNSAFE_OPERATORS:
        raise UnsafeTextError(f"a call of {text[:80]!r}")
    return text


def _expression(text: str) -> str:
    """Arithmetic over symbols, numbers and the few functions that torch writes: no dot, no attribute."""
    end = 0
    for found in _EXPRESSION.finditer(text):
        word = found["word"]
        if found.start() != end or (word and word not in _WORDS and not _SYMBOL.fullmatch(word)):
            break
        end = found.end()
    if end != len(text) or "**" in text.replace("**2", ""):
        raise UnsafeTextError(f"the expression {text[:80]!r}")
    return text


def _tree(text: str) -> str:
    """The structure of arguments: containers of Python's own, of which no code is looked up."""
    if not text:
        return text
    _check_tree(json.loads(text)[1])
    return text


def _check_tree(spec: dict[str, Any]) -> None:
    kind = spec.get("type")
    if kind is not None and kind not in _TREE_TYPES:
        raise UnsafeTextError(f"arguments of the type {str(kind)[:80]!r}")
    for inner in spec.get("children_spec") or ():
        _check_tree(inner)


_TEXTS = {"target": _target, "as_operator": _target, "expr_str": _expression, **dict.fromkeys(_TREES, _tree)}
"""What is asked of a text, by the key it stands under; of any other that it is a name."""
