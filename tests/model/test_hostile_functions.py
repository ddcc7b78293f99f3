"""Local functions that never end, or that grow beyond all bounds when they are put in place."""

from __future__ import annotations

import pytest
from onnx import ModelProto, parser

from onnxprune.errors import InputError
from onnxprune.model import load_model
from onnxprune.model.functions import DEEPEST, MOST_NODES
from onnxprune.model.inline import inline_functions

HEAD = '<ir_version: 8, opset_import: ["" : 17, "own" : 1]> g (float[2] x) => (float[2] y) { y = own.F0 (x) }'


def function(name: str, body: str) -> str:
    return f'<domain: "own", opset_import: ["" : 17, "own" : 1]> {name} (a) => (c) {{ {body} }}'


def model(*functions: str) -> ModelProto:
    return parser.parse_model("\n".join([HEAD, *functions]))


def chain(length: int, call: str) -> ModelProto:
    """Functions each of which calls the next one; the last is a Relu."""
    bodies = [call.format(next=f"own.F{k + 1}") for k in range(length - 1)]
    return model(*(function(f"F{k}", body) for k, body in enumerate([*bodies, "c = Relu (a)"])))


ONCE, TWICE = "c = {next} (a)", "b = {next} (a) c = {next} (b)"

FAULTS = {
    "calls itself": (model(function("F0", "c = own.F0 (a)")), "call themselves: 'own.F0' -> 'own.F0'"),
    "calls itself by another": (
        model(function("F0", "c = own.F1 (a)"), function("F1", "c = own.F0 (a)")),
        "'own.F0' -> 'own.F1' -> 'own.F0'",
    ),
    "doubles": (chain(60, TWICE), f"expand to more than {MOST_NODES:,} nodes"),
    "calls deeply": (chain(DEEPEST + 1, ONCE), f"more than {DEEPEST} deep"),
    "twice": (model(function("F0", "c = Relu (a)"), function("F0", "c = Abs (a)")), "'own.F0' twice"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_functions_that_are_refused(name: str) -> None:
    faulty, said = FAULTS[name]
    with pytest.raises(InputError, match="function") as caught:
        load_model(faulty)
    assert said in caught.value.message
    assert caught.value.hint


def test_a_function_may_call_itself_in_a_subgraph_no_more_than_elsewhere() -> None:
    body = "k = Constant <value_int = 1> () t = Cast <to = 9> (k) c = If (t) <then_branch = g () => (d) { d = own.F0 (a) }, "
    body += "else_branch = h () => (e) { e = Relu (a) }>"
    with pytest.raises(InputError, match="call themselves"):
        load_model(model(function("F0", body)))


def test_what_is_large_and_finite_is_put_in_place() -> None:
    inlined = inline_functions(load_model(chain(11, TWICE)))
    assert len(inlined.proto.graph.node) == 1 << 10
    deep = inline_functions(load_model(chain(DEEPEST - 1, ONCE)))
    assert [node.op_type for node in deep.proto.graph.node] == ["Relu"]


def test_functions_that_nothing_calls_may_be_what_they_are() -> None:
    load_model(model(function("F0", "c = Relu (a)"), function("F1", "c = own.F1 (a)")))
