"""Texts in a torch.export program: those that torch would evaluate have to be harmless."""

from __future__ import annotations

import json

import pytest

from onnxprune.frontends.program_text import UnsafeTextError, checked_program


def program(**parts) -> dict:
    """The skeleton of a program with one node; parts replace keys anywhere in it."""
    node = {
        "target": "torch.ops.aten.relu.default",
        "inputs": [{"name": "self", "arg": {"as_tensor": {"name": "x"}}, "kind": 1}],
        "outputs": [{"as_tensor": {"name": "relu"}}],
        "metadata": {"nn_module_stack": "L__self__,,torch.nn.ReLU", "stack_trace": "File /home/me/secret.py"},
        "name": "relu",
    }
    size = {"as_expr": {"expr_str": "Symbol('s77', positive=True, integer=True)", "hint": {"as_int": 2}}}
    tree = json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": []}])
    graph = {"nodes": [{**node, **{k: v for k, v in parts.items() if k in node}}], "sizes": [size]}
    if "expr_str" in parts:
        size["as_expr"]["expr_str"] = parts["expr_str"]
    return {
        "graph_module": {"graph": graph, "signature": {"in_spec": parts.get("in_spec", tree)}},
        "guards_code": ["__import__('os').system('true')"],
        "torch_version": "2.13.0+cpu",
        **{k: v for k, v in parts.items() if k == "extra"},
    }


def test_a_plain_program_passes_without_what_is_not_needed():
    checked = checked_program(program())
    assert checked["guards_code"] == []
    (node,) = checked["graph_module"]["graph"]["nodes"]
    assert node["metadata"] == {"nn_module_stack": "L__self__,,torch.nn.ReLU"}
    assert node["target"] == "torch.ops.aten.relu.default"


@pytest.mark.parametrize(
    "expression",
    [
        "2*Symbol('s77', positive=True, integer=True)",
        "((Symbol('s12', positive=True, integer=True) + 1)//2)",
        "Mod(s77, 2)",
        "Max(1, s3 - 4)",
        "s77**2",
        "",
    ],
)
def test_arithmetic_passes(expression: str):
    assert checked_program(program(expr_str=expression))


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__.__bases__",
        "open('/etc/passwd')",
        "exec('x')",
        "lambda: 0",
        "[x for x in 's']",
        "Symbol('s', **{})",
        "9**9**9",
        "Symbol.func",
        "s77; s78",
        "s77\nimport_os",
        "Symbol('a b')",
    ],
)
def test_anything_else_in_an_expression_is_refused(expression: str):
    with pytest.raises(UnsafeTextError, match="expression"):
        checked_program(program(expr_str=expression))


@pytest.mark.parametrize(
    "target",
    [
        "torch.os.system",
        "torch.hub.load",
        "torch.ops.aten.from_file.default",
        "torch.ops.mine.run.default",
        "torch.ops.aten.relu.default.__class__",
        "_operator.call",
        "_operator.methodcaller",
        "math.nope",
        "#namespace:operator",
        "os.system",
    ],
)
def test_calls_of_anything_but_operators_are_refused(target: str):
    with pytest.raises(UnsafeTextError, match="call of"):
        checked_program(program(target=target))


@pytest.mark.parametrize("name", ["x):\n  import os", "x=print(1)", "x, y", "x'", 'x"', "x y"])
def test_names_that_are_code_are_refused(name: str):
    with pytest.raises(UnsafeTextError, match="name"):
        checked_program(program(name=name))
    with pytest.raises(UnsafeTextError, match="name"):
        checked_program(program(extra={name: 1}))


def test_structures_of_other_types_are_refused():
    spec = {"type": "collections.defaultdict", "context": "{}", "children_spec": []}
    inner = json.dumps([1, {"type": "builtins.tuple", "context": "null", "children_spec": [spec]}])
    with pytest.raises(UnsafeTextError, match="defaultdict"):
        checked_program(program(in_spec=inner))


def test_objects_are_refused():
    with pytest.raises(UnsafeTextError, match="object"):
        checked_program(program(extra={"as_custom_obj": {"name": "x", "class_fqn": "y"}}))


def test_constants_may_be_any_text():
    checked = checked_program(program(extra={"as_string": "bij,bjk->bik (no names)"}))
    assert checked["extra"]["as_string"] == "bij,bjk->bik (no names)"
