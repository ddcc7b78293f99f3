"""Inner values that a model is to share with its teacher."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from small_networks import network
from small_tasks import samples, source

import onnxprune
from onnxprune.errors import UsageError
from onnxprune.training import TrainSettings, train
from onnxprune.training.features import feature_names

pytestmark = pytest.mark.frontends


def narrower() -> onnxprune.Model:
    """A copy whose first layer is narrower; values from ``c`` on have the shape that they had."""
    return onnxprune.prune(source(), ratio=0.3, align="off", include=["conv1"]).model


def renamed() -> onnxprune.Model:
    """A network that computes the same with other operators."""
    proto: onnx.ModelProto = network()
    for node in proto.graph.node:
        if node.op_type == "Relu":
            node.op_type = "LeakyRelu"
    return onnxprune.load_model(proto)


def test_the_last_value_of_each_shape_that_is_left() -> None:
    assert feature_names(narrower(), source(), ("auto",)) == ("d", "e")
    assert feature_names(source(), source(), ("auto",)) == ("b", "d", "e")


def test_what_is_the_output_in_another_form_is_not_chosen() -> None:
    """A head that is a convolution, and an average over the image behind it."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "head"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["y"]),
    ]
    model = chain(nodes, {"w": (8, 3, 3, 3), "head": (10, 8, 1, 1)})
    assert feature_names(model, model, ("auto",)) == ("b",)


def chain(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]]) -> onnxprune.Model:
    """A model of an image; its weights are ones."""
    ends = [("image", ["n", 3, 8, 8]), ("y", None)]
    image, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in ends)
    tensors = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    opsets = [helper.make_opsetid("", 17)]
    proto = helper.make_model(helper.make_graph(nodes, "g", [image], [y], tensors), opset_imports=opsets)
    proto.ir_version = 8
    return onnxprune.load_model(proto)


def test_nothing_of_a_teacher_that_is_another_network() -> None:
    assert feature_names(narrower(), renamed(), ("auto",)) == ()


def test_names_and_none() -> None:
    assert feature_names(narrower(), source(), ("[a-d]",)) == ("a", "b", "c", "d")
    assert feature_names(narrower(), source(), ("none",)) == ()
    with pytest.raises(UsageError, match="'x' names no value"):
        feature_names(narrower(), source(), ("a", "x"))


def test_features_bring_the_outputs_nearer_to_the_teacher() -> None:
    ends = {}
    for features in ("auto", "none"):
        own = TrainSettings(epochs=2, batch=32, lr=1e-4, features=(features,), distill=1.0)
        found = train(narrower(), samples(256, labelled=False), own, teacher=source())
        ends[features] = found.history[-1].validation_loss
        assert found.account["features"] == {"auto": ["d", "e"], "none": []}[features]
    assert ends["auto"] < ends["none"]


def test_usual_rates() -> None:
    given = {True: {"teacher": source()}, False: {}}
    found = {
        taught: train(narrower(), samples(64), TrainSettings(epochs=0), **more).account["peak_lr"]
        for taught, more in given.items()
    }
    assert found == {True: 0.004, False: 0.02}


def test_values_that_are_not_finite_are_left_out() -> None:
    """Attention scores that a mask has taken out are minus infinity."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"]),
        helper.make_node("Sub", ["a", "a"], ["zero"]),
        helper.make_node("Log", ["zero"], ["endless"]),
        helper.make_node("Relu", ["endless"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Conv", ["c", "head"], ["y"]),
    ]
    model = chain(nodes, {"w": (8, 3, 3, 3), "head": (10, 8, 1, 1)})
    own = TrainSettings(epochs=0, features=("endless", "b"))
    found = train(model, samples(32, labelled=False), own, teacher=model)
    assert found.account["features"] == ["b"]
    assert "features that are not finite: endless" in found.notes
