"""Nodes that lack what their operator takes, or have more."""

from __future__ import annotations

import pytest
from onnx import AttributeProto, NodeProto, TensorProto, helper
from small_models import model_of

from onnxprune.errors import InputError
from onnxprune.model import load_model

IF = helper.make_node("If", ["x"], ["y"])
IF.attribute.extend(AttributeProto(name=f"{k}_branch", type=AttributeProto.GRAPH) for k in ("then", "else"))

FAULTS: dict[str, tuple[NodeProto, str]] = {
    "no inputs": (helper.make_node("Relu", [], ["y"]), "0 inputs where the operator has 1"),
    "too many inputs": (helper.make_node("Relu", ["x", "x"], ["y"]), "2 inputs where the operator has 1"),
    "too few inputs": (helper.make_node("Conv", ["x"], ["y"]), "1 inputs where the operator has 2 to 3"),
    "none of many": (
        helper.make_node("Concat", [], ["y"], axis=0),
        "0 inputs where the operator has 1 or more",
    ),
    "too many outputs": (helper.make_node("Relu", ["x"], ["y", "z"]), "2 outputs where the operator has 1"),
    "another type": (helper.make_node("Flatten", ["x"], ["y"], axis=1.5), "is of type FLOAT instead of INT"),
    "not there": (helper.make_node("Concat", ["x"], ["y"]), "its attribute 'axis' is missing"),
    "no groups": (
        helper.make_node("ConvTranspose", ["x", "x"], ["y"], group=0),
        "its attribute 'group' is 0 where 1 is the least",
    ),
    "no blocks": (
        helper.make_node("SpaceToDepth", ["x"], ["y"], blocksize=0),
        "its attribute 'blocksize' is 0 where 1 is the least",
    ),
    "a piece without a name": (
        helper.make_node("Split", ["x"], ["y", ""], axis=0),
        "one of its outputs has no name",
    ),
    "no graph": (IF, "its attribute 'then_branch' has no value"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_nodes_that_are_refused(name: str) -> None:
    node, said = FAULTS[name]
    node.name = "a\x1b[2Jb"
    with pytest.raises(InputError, match="faulty node") as caught:
        load_model(model_of([node]))
    assert said in caught.value.message
    assert caught.value.message.isprintable()


def test_an_attribute_that_is_there_twice() -> None:
    node = helper.make_node("Flatten", ["x"], ["y"], axis=1)
    node.attribute.add(name="axis", type=AttributeProto.INT, i=0)
    with pytest.raises(InputError, match="'axis' is there twice"):
        load_model(model_of([node]))


def test_an_attribute_of_a_function_that_is_not_there() -> None:
    node = helper.make_node("Flatten", ["x"], ["y"])
    node.attribute.add(name="axis", type=AttributeProto.INT, ref_attr_name="outer")
    with pytest.raises(InputError, match="'axis' stands for one of a function"):
        load_model(model_of([node]))


def test_nodes_of_subgraphs_are_looked_at() -> None:
    inner = helper.make_graph(
        [helper.make_node("Relu", ["x", "x"], ["z"])],
        "inner",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    node = helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)
    with pytest.raises(InputError, match="2 inputs"):
        load_model(model_of([node], [flag]))


def test_other_domains_and_unknown_attributes_are_left_alone() -> None:
    load_model(model_of([helper.make_node("Relu", ["x"], ["y"], invented=3)]))
    load_model(model_of([helper.make_node("Relu", ["x", "x", "x"], ["y"], domain="nobody.knows")]))
