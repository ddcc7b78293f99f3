"""Graphs within graphs, and operators of libraries that are not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper
from small_models import floats, model_of

import onnxprune
from onnxprune.errors import InputError
from onnxprune.model import load_model, wire

GRAPH = ModelProto.DESCRIPTOR.fields_by_name["graph"].number
GRAPH_NODE = GraphProto.DESCRIPTOR.fields_by_name["node"].number
NODE_ATTRIBUTE = NodeProto.DESCRIPTOR.fields_by_name["attribute"].number
ATTRIBUTE_GRAPH = AttributeProto.DESCRIPTOR.fields_by_name["g"].number


def nested(levels: int) -> ModelProto:
    """If in If in If ... around a Relu."""
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    body = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "g", [], [value])
    for level in range(levels):
        name = f"z{level}"
        node = helper.make_node("If", ["flag"], [name], then_branch=body, else_branch=GraphProto(name="e"))
        body = helper.make_graph(
            [node], "g", [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        )
    flag = helper.make_tensor("flag", TensorProto.BOOL, [], [True])
    last = body.node[0]
    last.output[0] = "y"
    return model_of([last], [flag])


def deeper(levels: int) -> bytes:
    """The same with more levels than protobuf itself writes: a node, its attribute and its graph are three."""
    message = GraphProto(name="innermost").SerializeToString()
    for _ in range(levels):
        for field in (ATTRIBUTE_GRAPH, NODE_ATTRIBUTE, GRAPH_NODE):
            message = b"".join(map(bytes, wire.wrapped(field, [message])))
    return b"".join(map(bytes, wire.wrapped(GRAPH, [message]))) + ModelProto(ir_version=8).SerializeToString()


@pytest.mark.parametrize("levels", [40, 3_000])
def test_graphs_that_nest_deeply(levels: int) -> None:
    load_model(nested(20))
    with pytest.raises(InputError, match="complete ONNX model") as caught:
        load_model(deeper(levels))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("domain", "operator", "attributes"),
    [
        ("evil.ops", "Run", {"library": "/tmp/evil.so"}),
        (
            "com.microsoft",
            "EPContext",
            {"embed_mode": 0, "ep_cache_context": "../evil.bin", "main_context": 1},
        ),
        ("ai.onnx.contrib", "PyOp", {"module": "os", "func": "system"}),
    ],
)
def test_operators_of_other_libraries_are_not_looked_for(
    tmp_path: Path, domain: str, operator: str, attributes: dict[str, object]
) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1] * 4),
        helper.make_node("Conv", ["a", "v"], ["b"]),
        helper.make_node(operator, ["b"], ["y"], domain=domain, **attributes),
    ]
    model = model_of(nodes, [floats("w", 8, 3, 3, 3), floats("v", 4, 8, 1, 1)])
    model.opset_import.append(helper.make_opsetid(domain, 1))
    helper.set_model_props(
        model, {"ort_config": '{"session_options": {"custom_op_library": "/tmp/evil.so"}}'}
    )
    with pytest.raises(InputError, match="ONNX Runtime does not run the source model"):
        onnxprune.prune(model, ratio=0.4, align="off", threads=1)
    result = onnxprune.prune(model, ratio=0.4, align="off", threads=1, verify=False)
    assert set(result.report.cuts) == {"w", "v"}
    assert [node.op_type for node in result.model.proto.graph.node][-1] == operator
