"""The module: its inputs, outputs, parameters and modes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import onnx
import oracle
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")
from torch_cases import check, difference, graph_of, results, train  # noqa: E402

from onnxprune import InputError, UsageError, load_model, to_torch, write_back  # noqa: E402

pytestmark = pytest.mark.frontends

NORM = {name: np.full(4, value, np.float32) for name, value in {"s": 1, "b": 0, "m": 0.5, "v": 2}.items()}
"""Scale, bias, mean and variance of a batch normalisation."""


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def normed(**attributes: object) -> onnx.ModelProto:
    """A convolution and a batch normalisation."""
    model = graph_of("c = Conv(x, w) y = BatchNormalization(c, s, b, m, v)", {"w": (4, 3, 3, 3), **NORM})
    model.graph.node[1].attribute.extend(onnx.helper.make_attribute(k, v) for k, v in attributes.items())
    return model


def renamed(model: onnx.ModelProto, **names: str) -> onnx.ModelProto:
    """Give values names that the text syntax of onnx does not allow."""
    for old, new in names.items():
        for node in model.graph.node:
            node.input[:] = [new if name == old else name for name in node.input]
        for value in (*model.graph.input, *model.graph.initializer):
            value.name = new if value.name == old else value.name
    return model


# names, inputs, outputs


def test_parameters_are_named_after_initializers() -> None:
    model = renamed(
        graph_of("y = Conv(x, w, b)", {"w": (4, 3, 3, 3), "b": (4,)}), w="1.conv/weight", b="training"
    )
    module = check(model)
    assert dict(module.initializer_names) == {"1.conv/weight": "_1_conv_weight", "training": "training_1"}
    assert set(dict(module.named_parameters())) == set(module.initializer_names.values())


def test_inputs_are_given_by_position_or_by_name() -> None:
    model = renamed(graph_of("y = Relu(x)"), x="input.1")
    module, x = to_torch(model), torch.randn(2, 3, 6, 6)
    assert module(x).equal(module(**{"input.1": x}))
    for wrong in ((), (x, x)):
        with pytest.raises(UsageError, match="inputs do not fit"):
            module(*wrong)
    with pytest.raises(UsageError, match="'z' is unknown"):
        module(x, z=x)


def test_inner_values_can_be_returned() -> None:
    model = graph_of("a = Conv(x, w) y = Relu(a)", {"w": (4, 3, 3, 3)})
    module = to_torch(model, outputs=["a", "y"])
    a, y = module(torch.randn(2, 3, 6, 6))
    assert a.min() < 0
    assert y.equal(a.relu())
    with pytest.raises(UsageError, match="no value 'b'"):
        to_torch(model, outputs=["b"])


def test_what_the_outputs_do_not_need_may_be_unknown() -> None:
    model = graph_of("a = Conv(x, w) b = Conv(a, u) y = Unique(b)", {"w": (4, 3, 3, 3), "u": (2, 4, 1, 1)})
    module = to_torch(model, outputs=["a"])
    assert list(module.initializer_names) == ["w"]


def test_several_outputs_come_as_a_tuple() -> None:
    model = graph_of("y = Relu(x) z = Neg(x)")
    model.graph.output.append(onnx.helper.make_tensor_value_info("z", 1, None))
    y, z = to_torch(model)(torch.ones(2, 3, 6, 6))
    assert y.equal(-z)


def test_the_batch_may_be_another_than_that_of_a_fixed_export() -> None:
    shape = np.array([1, 36, 3], np.int64)
    model = graph_of("t = Transpose<perm=[0,2,3,1]>(x) y = Reshape(t, s)", {"s": shape}, x=(1, 3, 6, 6))
    assert check(model)(torch.randn(5, 3, 6, 6)).shape == (5, 36, 3)


FIXED = {
    "token": ("y = Concat<axis=1>(t, x)", {"t": (1, 1, 6)}),
    "table": ("f = Flatten<axis=3>(x) y = Gather(f, i)", {"i": np.arange(5)}),
    "mean over the batch": ("m = ReduceMean<axes=[0]>(x) y = Sub(x, m)", {}),
}
"""Graphs that know the batch: the first fails for another one, the others would be wrong."""


@pytest.mark.parametrize("name", FIXED)
def test_another_batch_is_refused_where_it_would_be_wrong(name: str) -> None:
    body, constants = FIXED[name]
    module = check(graph_of(body, constants, x=(1, 4, 6)))
    assert module.batch_size == 1
    with pytest.raises(UsageError, match="exported for a batch of 1"):
        module(torch.randn(3, 4, 6))


def test_dynamic_shapes_are_integers_and_no_tensors() -> None:
    body = """
        s = Shape(x) zero = Constant<value_ints=[0]>() n = Gather(s, zero) rest = Constant<value_ints=[-1]>()
        c = Concat<axis=0>(n, rest) y = Reshape(x, c)"""
    module = check(graph_of(body, x=("n", 3, 6, 6)))
    assert "size(0)" in module.code
    assert "tensor(" not in module.code


def test_copies_and_pickles_compute_the_same() -> None:
    module, x = to_torch(normed()), torch.randn(2, 3, 6, 6)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other(x).equal(module(x))
        assert other.initializer_names == module.initializer_names
        assert not {id(p) for p in other.parameters()} & {id(p) for p in module.parameters()}


def test_torch_is_imported_on_use() -> None:
    code = "import sys, onnxprune; onnxprune.to_torch; onnxprune.write_back; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# what is refused

REFUSED = {
    "unknown operator": (
        "y = Unique(x)",
        "number 0 (Unique): Unique of opset 17 cannot be turned into torch",
    ),
    "other domain": ("y = com.microsoft.BiasGelu(x, x)", "com.microsoft.BiasGelu of opset 1"),
    "condition of data": (
        "s = ReduceSum<keepdims=0>(x) c = Cast<to=9>(s)"
        " y = If (c) <then_branch = t () => (a) { a = Neg(x) }, else_branch = e () => (b) { b = Abs(x) }>",
        "whose condition depends on the data",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    body, message = REFUSED[name]
    model = graph_of(body)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(InputError) as error:
        to_torch(model)
    assert message in error.value.message
    assert error.value.hint


def test_a_branch_that_is_always_taken_is_followed() -> None:
    body = (
        "y = If (c) <then_branch = t () => (a) { a = Conv(x, w) }, else_branch = e () => (b) { b = Abs(x) }>"
    )
    module = check(graph_of(body, {"c": np.array(True), "w": (4, 3, 3, 3)}))
    assert list(module.initializer_names) == ["w"]


# what is trained

ROLES = {
    "bias behind a layer": ("c = Conv(x, w) y = Add(c, v)", (1, 4, 1, 1), True),
    "scale before the first layer": ("s = Mul(x, v) y = Conv(s, w)", (1, 3, 1, 1), False),
    "scalar": ("c = Conv(x, w) y = Mul(c, v)", scalar(0.5), False),
    "slope of one element": ("c = Conv(x, w) y = PRelu(c, v)", np.array([0.2], np.float32), True),
    "bounds": ("c = Conv(x, w) y = Max(c, v)", (1, 4, 1, 1), False),
    "mask": ("c = Conv(x, w) y = Add(c, v)", np.array([[[[0, -np.inf, 0, 0]]]], np.float32), False),
    "mask of large numbers": (
        "c = Conv(x, w) y = Add(c, v)",
        np.array([[[[0, -100, 0, 0]]]], np.float32),
        False,
    ),
    "token": ("c = Conv(x, w) y = Concat<axis=2>(c, v)", (2, 4, 1, 4), True),
    "compared": (
        "c = Conv(x, w) g = Greater(v, zero) f = Where(g, low, zero) y = Add(c, f)",
        (1, 4, 1, 1),
        False,
    ),
    "mask made in pieces": (
        "m = ScatterND(blank, place, v) c = Conv(x, w) y = Add(c, m)",
        (1, 4, 4, 4),
        False,
    ),
    "behind a transpose": ("c = Conv(x, w) t = Transpose(v) y = Add(c, t)", (4, 4, 1, 1), True),
}


PARTS = {"zero": scalar(0), "low": scalar(-100), "place": np.zeros((1, 1), np.int64)}
PARTS["blank"] = np.zeros((1, 4, 4, 4), np.float32)


@pytest.mark.parametrize("name", ROLES)
def test_role(name: str) -> None:
    body, v, trained = ROLES[name]
    model = graph_of(body, {"w": (4, 3, 3, 3), "v": v, **PARTS})
    module = check(model)
    assert ("v" in module.initializer_names) is trained


def test_shared_weights_stay_shared_and_merged_vectors_do_not() -> None:
    body = "a = Conv(x, w, b) c = Conv(a, u, b) d = Conv(c, u, b) e = Conv(d, t, b) y = Relu(e)"
    square = (3, 3, 1, 1)
    model = graph_of(body, {"w": square, "u": square, "t": square, "b": (3,)})
    module = check(model)
    assert len(module.initializer_names) == 6  # the two layers with the weight u keep one bias
    loaded = load_model(model)
    train(module, oracle.random_feed(model, 0))
    written = write_back(module, loaded)
    assert difference(written, module) <= 1e-4
    biases = [node.input[2] for node in written.proto.graph.node if node.op_type == "Conv"]
    assert len(set(biases)) == 3
    assert biases[1] == biases[2]


def test_statistics_that_equal_the_scale_are_not_the_scale() -> None:
    body = "c = Conv(x, w) n = BatchNormalization(c, one, nil, nil, one) y = BatchNormalization(n, one, nil, nil, one)"
    values = {"one": np.ones(4, np.float32), "nil": np.zeros(4, np.float32)}
    model = load_model(graph_of(body, {"w": (4, 3, 3, 3), **values}))
    module = to_torch(model)
    assert len(module.initializer_names) == 9
    train(module, oracle.random_feed(model.to_proto(), 0))
    assert difference(write_back(module, model), module) <= 1e-4


# modes


def test_batch_norm_trains_as_torch_does() -> None:
    model = normed(momentum=0.8, epsilon=1e-3)
    module = check(model)
    native = torch.nn.BatchNorm2d(4, eps=1e-3, momentum=0.2)
    native.running_mean.fill_(0.5)
    native.running_var.fill_(2.0)
    x = torch.randn(8, 3, 6, 6)
    module.train()
    wanted = native(torch.nn.functional.conv2d(x, module.w))
    assert torch.allclose(module(x), wanted)
    assert torch.allclose(module.get_buffer(module.initializer_names["m"]), native.running_mean)
    assert torch.allclose(module.get_buffer(module.initializer_names["v"]), native.running_var)


def test_running_statistics_are_written_back() -> None:
    model = load_model(normed())
    module = to_torch(model)
    module.train()
    module(torch.randn(8, 3, 6, 6))
    written = write_back(module.eval(), model)
    assert {name for name, c in written.constants.items() if c is not model.constants[name]} == {"m", "v"}
    assert difference(written, module) <= 1e-4


def test_dropout_drops_in_training_only() -> None:
    model = graph_of("y, mask = Dropout(x, r)", {"r": scalar(0.5)})
    module, x = check(model), torch.ones(2, 3, 6, 6)
    assert module(x).equal(x)
    dropped = module.train()(x)
    assert {float(v) for v in dropped.unique()} == {0.0, 2.0}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions_come_back_as_they_were(dtype: str) -> None:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) if dtype != "bfloat16" else 16
    source = graph_of("y = MatMul(x, w)", {"w": (6, 4)})
    values = numpy_helper.to_array(source.graph.initializer[0]).astype(
        onnx.helper.tensor_dtype_to_np_dtype(kind)
    )
    source.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "w"))
    for value in (source.graph.input[0], source.graph.output[0]):
        value.type.tensor_type.elem_type = kind
    model = load_model(source)
    module = to_torch(model)
    assert str(module.w.dtype) == f"torch.{dtype}"
    assert write_back(module, model) is model
    with torch.no_grad():
        module.w.add_(1)
    written = write_back(module, model).constants["w"]
    assert written.data_type == kind
    assert np.array_equal(written.values().astype(np.float64), module.w.detach().double().numpy())


def test_another_model_is_refused() -> None:
    module = to_torch(graph_of("y = MatMul(x, w)", {"w": (6, 4)}))
    for other in ({"w": (6, 5)}, {"v": (6, 4)}):
        model = load_model(graph_of(f"y = MatMul(x, {next(iter(other))})", other))
        with pytest.raises(UsageError, match="not made from this model"):
            write_back(module, model)


def test_weights_of_local_functions_are_trained() -> None:
    model = graph_of("y = local.layer(x, w)", {"w": (4, 3, 3, 3)})
    text = '<opset_import: ["" : 17], domain: "local"> layer (x, w) => (y) { c = Conv(x, w) y = Relu(c) }'
    model.functions.append(onnx.parser.parse_function(text))
    model.opset_import.append(onnx.helper.make_opsetid("local", 1))
    module, loaded = check(model), load_model(model)
    assert write_back(module, loaded) is loaded
    train(module, oracle.random_feed(model, 0))
    assert difference(write_back(module, loaded), module) <= 1e-4
    assert results(module, oracle.random_feed(model, 0))
