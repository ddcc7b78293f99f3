import numpy as np
import pytest
from onnx import TensorProto, helper
from small_networks import network

from onnxprune.coupling import couple
from onnxprune.errors import InputError, UsageError
from onnxprune.execution.inputs import Input
from onnxprune.model import load_model
from onnxprune.runtime.feeds import batch_of, inputs_for, parse_shapes, working_feed
from onnxprune.runtime.sessions import Session

FLOAT = np.dtype(np.float32)


def image(*dims):
    return Input("image", FLOAT, dims, 2)


@pytest.mark.parametrize(
    ("dims", "asked", "batch"), [(("n", 3), None, 1), (("n", 3), 8, 8), ((4, 3), None, 4), ((4, 3), 4, 4)]
)
def test_the_batch_is_the_models_own_where_it_has_one(dims, asked, batch):
    assert batch_of([image(*dims)], asked, "m") == batch


def test_another_batch_than_the_fixed_one_is_refused():
    with pytest.raises(UsageError, match="fixed batch of 4"):
        batch_of([image(4, 3)], 8, "m")


def test_shapes_are_read():
    assert parse_shapes(["image=1x3x64x64", "a=b=2,5"]) == {"image": (1, 3, 64, 64), "a=b": (2, 5)}


@pytest.mark.parametrize("text", ["image", "=1x3", "image=", "image=1x0", "image=axb", "image=-1x3"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(UsageError, match="no shape"):
        parse_shapes([text])


def test_open_sizes_take_what_works():
    """A flat Gemm behind the pooling allows any size of image but one below the kernel."""
    coupling = couple(load_model(network()))
    session = Session(coupling.model.to_proto().SerializeToString())
    inputs = inputs_for(coupling, "m", {})
    feed = working_feed(session, inputs, 3, seed=0, name="m")
    assert feed["image"].shape == (3, 3, 8, 8)
    again = working_feed(session, inputs, 3, seed=0, name="m")
    assert np.array_equal(feed["image"], again["image"])


def test_shapes_must_fit_the_declared_ones():
    coupling = couple(load_model(network()))
    assert inputs_for(coupling, "m", {"image": (5, 3, 8, 8)})[0].dims == (5, 3, 8, 8)
    with pytest.raises(UsageError, match="the input is nx3x8x8"):
        inputs_for(coupling, "m", {"image": (5, 4, 8, 8)})


def test_a_model_that_takes_text_cannot_be_measured():
    text = helper.make_tensor_value_info("words", TensorProto.STRING, [1])
    out = helper.make_tensor_value_info("out", TensorProto.STRING, [1])
    node = helper.make_node("Identity", ["words"], ["out"])
    model = helper.make_model(
        helper.make_graph([node], "g", [text], [out]),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    with pytest.raises(InputError, match="text"):
        inputs_for(couple(load_model(model)), "m", {})
