"""Removed units merged into kept ones, and their means folded into biases."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from repair_networks import KEPT, UNITS, chain, cut, error, images, model, normalized, rng, run, twins

from onnxprune.calibration import ArraySamples
from onnxprune.repair.compensation import bias, merge
from onnxprune.repair.method import RepairOptions

OPTIONS = RepairOptions(threads=1)
SAMPLES = ArraySamples({"x": images(96, seed=7)})
NODE = helper.make_node

MIDDLES = {
    "relu": [NODE("Relu", ["c"], ["a"])],
    "leaky relu": [NODE("LeakyRelu", ["c"], ["a"], alpha=0.2)],
    "nothing": [NODE("Identity", ["c"], ["a"])],
    "pooling": [
        NODE("Relu", ["c"], ["r"]),
        NODE("MaxPool", ["r"], ["a"], kernel_shape=[2, 2], strides=[2, 2]),
    ],
    "pooling first": [
        NODE("AveragePool", ["c"], ["r"], kernel_shape=[2, 2], strides=[2, 2]),
        NODE("Relu", ["r"], ["a"]),
    ],
}


def repaired(method, proto, kept, samples=None):
    coupling, plain = cut(proto, kept)
    found = method(coupling, plain, kept, samples, OPTIONS)
    after = found.model.to_proto()
    onnx.checker.check_model(after, full_check=True)
    same = {t.name: tuple(t.dims) for t in after.graph.initializer}
    wanted = {t.name: tuple(t.dims) for t in plain.model.to_proto().graph.initializer}
    assert wanted.items() <= same.items()
    return plain, found


@pytest.mark.parametrize("samples", [None, SAMPLES], ids=["no data", "data"])
@pytest.mark.parametrize("middle", MIDDLES)
def test_a_multiple_of_a_kept_unit_is_merged_without_loss(middle, samples):
    proto = chain(MIDDLES[middle])
    plain, found = repaired(merge, proto, {"conv1": KEPT}, samples)
    assert error(proto, plain.model, images()) > 0.05
    assert error(proto, found.model, images()) < 1e-5
    (row,) = found.layers
    assert (row["layer"], row["units"]) == ("conv2", 2)
    assert row["explained"] == pytest.approx(1.0, abs=1e-3)
    assert not found.notes


@pytest.mark.parametrize("samples", [None, SAMPLES], ids=["no data", "data"])
@pytest.mark.parametrize("pads", [0, 1])
def test_padding_and_strides_do_not_matter_to_a_merge(pads, samples):
    proto = chain(MIDDLES["relu"], reader={"pads": [pads] * 4, "strides": [2, 2]})
    _, found = repaired(merge, proto, {"conv1": KEPT}, samples)
    assert error(proto, found.model, images()) < 1e-5


@pytest.mark.parametrize("samples", [None, SAMPLES], ids=["no data", "data"])
def test_grouped_readers_are_rewritten_group_by_group(samples):
    proto = chain(MIDDLES["relu"], group=2)
    constants = {t.name: t for t in proto.graph.initializer}
    for name in ("w1", "b1"):
        # one unit is the same channel of both groups: channels k and 4 + k
        values = numpy_helper.to_array(constants[name]).copy()
        values[[2, 6]] = 2 * values[[0, 4]]
        constants[name].CopyFrom(numpy_helper.from_array(values, name))
    coupling, _ = cut(proto, {})
    (name,) = (g.name for g in coupling.structure.groups if g.size == 4 and not g.held)
    plain, found = repaired(merge, proto, {name: np.array([0, 1, 3])}, samples)
    assert error(proto, plain.model, images()) > 0.05
    assert error(proto, found.model, images()) < 1e-5


@pytest.mark.parametrize("samples", [None, SAMPLES], ids=["no data", "data"])
def test_units_of_several_columns_are_merged_column_by_column(samples):
    weights = {
        "w1": twins(rng().standard_normal((UNITS, 3, 3, 3))),
        "b1": twins(rng(2).standard_normal(UNITS)),
        "w2": rng(3).standard_normal((UNITS * 9, 4)),
        "b2": rng(4).standard_normal(4),
    }
    nodes = [
        NODE("Conv", ["x", "w1", "b1"], ["c"], "conv1", strides=[3, 3], pads=[1] * 4),
        NODE("Relu", ["c"], ["r"]),
        NODE("Flatten", ["r"], ["f"]),
        NODE("MatMul", ["f", "w2"], ["m"], "dense"),
        NODE("Add", ["m", "b2"], ["y"]),
    ]
    proto = model(nodes, weights)
    _, found = repaired(merge, proto, {"conv1": KEPT}, samples)
    assert error(proto, found.model, images()) < 1e-5


def constant_unit(proto: onnx.ModelProto, unit: int, level: float) -> None:
    """Let a unit of conv1 give out the same number everywhere."""
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if tensor.name == "w1":
            values[unit] = 0
        if tensor.name == "b1":
            values[unit] = level
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


@pytest.mark.parametrize("method", [bias, merge])
def test_a_constant_goes_into_the_bias_of_its_readers(method):
    proto = chain(MIDDLES["relu"])
    constant_unit(proto, 4, 1.5)
    kept = {"conv1": np.array([0, 1, 2, 3, 5, 6, 7])}
    plain, found = repaired(method, proto, kept, SAMPLES)
    assert error(proto, plain.model, images()) > 0.05
    assert error(proto, found.model, images()) < 1e-5


def test_a_new_bias_is_no_initializer_where_those_have_to_be_inputs():
    proto = chain(MIDDLES["relu"])
    constant_unit(proto, 4, 1.5)
    proto.ir_version = 3
    for tensor in proto.graph.initializer:
        proto.graph.input.append(helper.make_tensor_value_info(tensor.name, 1, tensor.dims))
    kept = {"conv1": np.array([0, 1, 2, 3, 5, 6, 7])}
    _, found = repaired(bias, proto, kept, SAMPLES)
    assert error(proto, found.model, images()) < 1e-5


def test_only_the_border_of_a_padded_reader_is_off():
    proto = chain(MIDDLES["relu"], reader={"pads": [1] * 4})
    del proto.graph.node[3:]
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("d", 1, ["batch", 6, 8, 8]))
    constant_unit(proto, 4, 1.5)
    kept = {"conv1": np.array([0, 1, 2, 3, 5, 6, 7])}
    _, found = repaired(bias, proto, kept, SAMPLES)
    change = np.abs(run(found.model, images()) - run(proto, images()))
    assert change[:, :, 1:-1, 1:-1].max() < 1e-4
    assert change.max() > 0.1


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("samples", [None, SAMPLES], ids=["no data", "data"])
def test_batch_normalisation_is_as_good_as_data(samples, kernel):
    for seed in range(3):
        proto = normalized(kernel=kernel, seed=seed)
        kept = {"conv1": np.arange(3, 16)}
        plain, shifted = repaired(bias, proto, kept, samples)
        _, merged = repaired(merge, proto, kept, samples)
        before = error(proto, plain.model, images())
        after = error(proto, shifted.model, images())
        assert after < 0.8 * before
        assert error(proto, merged.model, images()) < 1.1 * after


def test_without_data_or_normalisation_means_are_not_known():
    proto = chain(MIDDLES["relu"])
    plain, found = repaired(bias, proto, {"conv1": KEPT})
    assert not found.layers
    assert found.notes == (
        "conv2: not repaired, as nothing is known of the activations that it reads: there are no data, "
        "and no batch normalisation",
    )
    assert np.array_equal(run(found.model, images()), run(plain.model, images()))


def bare_product(proto):
    proto.graph.node.remove(next(n for n in proto.graph.node if n.op_type == "Gemm"))
    proto.graph.node.append(NODE("MatMul", ["f", "w3"], ["y"], "head"))
    for tensor in proto.graph.initializer:
        if tensor.name == "w3":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), "w3"))
    return {"conv2": np.array([0, 1, 2, 4])}, "head: not repaired, as it cannot take a bias"


def shared_weight(proto):
    node = next(n for n in proto.graph.node if n.name == "conv2")
    proto.graph.node.insert(3, NODE("Conv", ["a", "w2"], ["again"], "twin"))
    node.output[0] = "once"
    proto.graph.node.insert(4, NODE("Add", ["once", "again"], ["d"]))
    return {"conv1": KEPT}, "not repaired, as it reads the channels with weights that are"


def transposed(proto):
    node = next(n for n in proto.graph.node if n.name == "conv2")
    node.op_type = "ConvTranspose"
    for tensor in proto.graph.initializer:
        if tensor.name == "w2":
            values = numpy_helper.to_array(tensor).swapaxes(0, 1).copy()
            tensor.CopyFrom(numpy_helper.from_array(values, "w2"))
    return {"conv1": KEPT}, "conv2: not repaired, as its operator is not one of Conv, Gemm and MatMul"


@pytest.mark.parametrize("change", [bare_product, shared_weight, transposed])
def test_a_reader_of_another_form_is_left_alone_and_named(change):
    proto = chain(MIDDLES["relu"])
    kept, said = change(proto)
    plain, found = repaired(merge, proto, kept, SAMPLES)
    assert len(found.notes) == 1
    assert said in found.notes[0]
    assert np.allclose(run(found.model, images()), run(plain.model, images()), atol=1e-6)


def test_the_source_and_the_cut_stay_as_they_were():
    proto = chain(MIDDLES["relu"])
    before = proto.SerializeToString()
    kept = {"conv1": KEPT}
    coupling, plain = cut(proto, kept)
    bytes_before = coupling.model.to_proto().SerializeToString(), plain.model.to_proto().SerializeToString()
    merge(coupling, plain, kept, SAMPLES, OPTIONS)
    assert before == proto.SerializeToString()
    after = coupling.model.to_proto().SerializeToString(), plain.model.to_proto().SerializeToString()
    assert bytes_before == after
