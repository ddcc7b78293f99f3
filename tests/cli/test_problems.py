"""What users are told about exceptions that are nobody's plan, and how option groups are spread."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Annotated

import pytest

from onnxprune.cli.errors import problem
from onnxprune.cli.flat import flat
from onnxprune.errors import InputError, VerificationError


class _RuntimeException(Exception):
    pass


_RuntimeException.__module__ = "onnxruntime.capi.onnxruntime_pybind11_state"

CASES = {
    "ours": (InputError("bad file.", hint="get another"), "bad file.", 2),
    "a failed check": (VerificationError("it differs."), "it differs.", 1),
    "an interrupt": (KeyboardInterrupt(), "interrupted", 130),
    "no memory": (MemoryError(), "not enough memory", 2),
    "ONNX Runtime": (_RuntimeException("[ONNXRuntimeError] : no kernel\nmore"), "no kernel", 2),
    "the system": (
        OSError(28, "No space left on device", "out.onnx"),
        "out.onnx: No space left on device.",
        2,
    ),
    "a bug": (KeyError("x"), "bug in onnxprune: KeyError", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_problem(case: str) -> None:
    error, said, code = CASES[case]
    found = problem(error)
    assert said in found.message
    assert "\n" not in found.message
    assert found.code == code
    assert found.expected == (case != "a bug")


@dataclass(frozen=True)
class _Group:
    size: Annotated[int, "an option"] = 3
    colour: str = "red"


def test_a_group_is_spread_into_its_fields() -> None:
    def verb(path: str, group: _Group) -> int:
        return group.size + len(path) + len(group.colour)

    spread = flat(verb)
    assert {name: p.default for name, p in signature(spread).parameters.items() if name != "path"} == {
        "size": 3,
        "colour": "red",
    }
    assert spread(path="ab", size=5, colour="blue") == 11


def test_an_option_is_declared_once() -> None:
    def verb(size: int, group: _Group) -> int:
        return 0

    with pytest.raises(TypeError, match="size"):
        flat(verb)
