"""Hostile and odd inputs: each ends in a verified result or in one clear error.

``benchmarks/fuzz.py --show NUMBER`` makes one of them again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from onnx import parser

PER_TEST = 50
NODE_MODELS = "node models of onnx"


def failures(numbers: range, *, without: str = "") -> list[str]:
    """What ended otherwise, in one line each."""
    from fuzzing import processes
    from fuzzing.cases import kind_of

    found = [processes.outcome_of(number) for number in numbers if kind_of(number) != without]
    return [f"{one.number}: {one.verdict}: {one.reason} [{one.detail}]" for one in found if not one.is_good]


@pytest.mark.parametrize("first", [0, 20, 40])
def test_a_few_inputs(first: int, prepared: None) -> None:
    """The test cases of onnx take seconds to load, so they are among the many only."""
    assert not failures(range(first, first + 20), without=NODE_MODELS)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1_000_000, 1_000_500, PER_TEST))
def test_many_inputs(first: int, prepared: None) -> None:
    assert not failures(range(first, first + PER_TEST))


def test_a_number_gives_the_same_input() -> None:
    from fuzzing.cases import case

    for number in (1, 5, 9, 14, 18, 19):
        first, second = case(number), case(number)
        assert first == second
        assert first.files


def test_what_is_otherwise_is_noticed(tmp_path: Path) -> None:
    from fuzzing.cases import MODEL, Case
    from fuzzing.outcome import Ended, judge

    given = Case(0, "made up", {MODEL: b"x"}, (MODEL, "--ratio", "0.4"))
    (tmp_path / MODEL).write_bytes(b"x")
    clear = b"error: 'm.onnx' is no model.\nhint: Give one.\n"
    endings = {
        "refused": Ended(2, b"", clear, 0.1, 1),
        "traceback": Ended(2, b"", b"Traceback (most recent call last):\n" + clear, 0.1, 1),
        "not one clear error": Ended(2, b"", clear + b"warning: more\n", 0.1, 1),
        "control characters": Ended(2, b"", clear.replace(b"no", b"\x1b"), 0.1, 1),
        "hang": Ended(-9, b"", b"", 30.0, 1),
        "crash": Ended(-11, b"", b"", 0.1, 1),
        "memory": Ended(2, b"", b"error: There is not enough memory for this model.\nhint: None.\n", 0.1, 1),
    }
    assert {name: judge(given, ended, tmp_path).verdict for name, ended in endings.items()} == {
        name: name for name in endings
    }
    for channels, verdict in ((3, "memory"), (30, "refused")):
        text = f"g (float[n, {channels}, 16, {1 << 20}] x) => (float y) {{ y = Relu (x) }}"
        content = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}').SerializeToString()
        (tmp_path / MODEL).write_bytes(content)
        found = judge(replace(given, files={MODEL: content}), endings["memory"], tmp_path)
        assert found.verdict == verdict
    (tmp_path / MODEL).write_bytes(b"x")
    (tmp_path / "out.onnx.tmp").write_bytes(b"")
    assert judge(given, endings["refused"], tmp_path).verdict == "output left behind"
    (tmp_path / MODEL).write_bytes(b"y")
    assert judge(given, endings["refused"], tmp_path).verdict == "input changed"
