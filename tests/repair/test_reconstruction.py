"""Layers refitted to the outputs of the source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from mixed_networks import CASES, KEPT, residual
from onnx import helper, numpy_helper
from pruning import choose
from strategies import random_graph

from onnxprune import UsageError
from onnxprune.calibration import ArraySamples
from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.repair.error import output_errors
from onnxprune.repair.method import RepairOptions
from onnxprune.repair.reconstruct import lstsq, obs
from onnxprune.surgery import apply

METHODS = [lstsq, obs]
OPTIONS = RepairOptions(threads=1)
FIXTURES = Path(__file__).parents[2] / "fixtures"


def repaired(method, proto, kept, samples, options=OPTIONS):
    """The coupling, the plain cut and what the method made of it, its form checked."""
    coupling = couple(load_model(proto))
    cut = apply(coupling, kept)
    found = method(coupling, cut, kept, samples, options)
    before, after = cut.model.to_proto(), found.model.to_proto()
    onnx.checker.check_model(after, full_check=True)
    assert (after.ir_version, list(after.opset_import)) == (before.ir_version, list(before.opset_import))
    assert list(after.graph.input) == list(before.graph.input)
    assert list(after.graph.output) == list(before.graph.output)
    own, wanted = nodes_of(after), nodes_of(before)
    assert wanted == {name: own[name] for name in wanted}
    tensors = {t.name: (tuple(t.dims), t.data_type) for t in after.graph.initializer}
    assert {t.name: (tuple(t.dims), t.data_type) for t in before.graph.initializer}.items() <= tensors.items()
    return coupling, cut, found


def nodes_of(proto):
    return {n.output[0]: (n.op_type, n.name) for n in proto.graph.node}


def errors(coupling, cut, found, x):
    samples = ArraySamples({"x": x})
    return output_errors(coupling, [cut.model, found.model], samples, threads=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CASES)
def test_mixtures_of_units_that_stay_are_made_up_for(name, method):
    case = CASES[name]
    kept = {case.group: KEPT}
    coupling, cut, found = repaired(method, case.proto(), kept, ArraySamples({"x": case.samples()}))
    before, after = errors(coupling, cut, found, case.samples(32, seed=2))
    assert before > 0.1
    assert after < (0.01 if case.dtype == np.float32 else 0.03)
    rows = {row["layer"]: row for row in found.layers}
    # walking, the layers behind see what little is left
    assert set(rows) == set(case.repaired) if method is obs else set(rows) >= set(case.repaired)
    assert all(rows[name]["after"] < 0.001 * rows[name]["before"] for name in case.repaired)
    assert all(rows[name]["choice"] == "fitted" for name in case.repaired)
    assert not found.notes
    again = repaired(method, case.proto(), kept, ArraySamples({"x": case.samples()}))[2]
    assert again.model.to_proto().SerializeToString() == found.model.to_proto().SerializeToString()


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_chooses_the_rows(method):
    case = CASES["convolution"]
    body = case.proto()
    x = ArraySamples({"x": np.random.default_rng(0).standard_normal((40, 3, 40, 40)).astype(np.float32)})
    for value in (body.graph.input[0],):
        for axis in (2, 3):
            value.type.tensor_type.shape.dim[axis].dim_value = 40
    found = [
        repaired(method, body, {case.group: KEPT}, x, RepairOptions(seed=seed, threads=1))[2].model
        for seed in (0, 1, 0)
    ]
    one, other, same = (model.to_proto().SerializeToString() for model in found)
    assert one == same
    assert one != other


@pytest.mark.parametrize("fixture", ["vgg", "resnet", "mobilenet"])
def test_fixtures_come_nearer_to_their_source(fixture):
    proto = onnx.load(FIXTURES / f"{fixture}_fashion.onnx")
    coupling = couple(load_model(proto))
    kept = choose(coupling.structure, 0.2, seed=0)
    cut = apply(coupling, kept)
    name = proto.graph.input[0].name
    smooth = np.random.default_rng(0).random((24, 1, 7, 7)).repeat(4, axis=2).repeat(4, axis=3)
    given = ArraySamples({name: smooth.astype(np.float32)})
    fresh = given.part(16, 24)
    found = [method(coupling, cut, kept, given.part(0, 16), OPTIONS).model for method in METHODS]
    before, walked, apart = output_errors(coupling, [cut.model, *found], fresh, threads=1)
    assert walked < 0.7 * before
    assert apart < before
    assert walked < 1.1 * apart


@pytest.mark.parametrize("seed", [0, 3, 18, 29])
def test_random_graphs_stay_sound(seed):
    proto = random_graph(seed)
    dims = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).standard_normal((16, *dims[1:])).astype(np.float32)
    kept = choose(couple(load_model(proto)).structure, 0.4, seed)
    coupling, cut, found = repaired(lstsq, proto, kept, ArraySamples({proto.graph.input[0].name: x}))
    assert found.layers
    x = ArraySamples({proto.graph.input[0].name: x})
    before, after = output_errors(coupling, [cut.model, found.model], x, threads=1)
    assert after < before


def test_a_drifting_stream_is_steered_back():
    """What one block gets wrong the next ones can make up for, where they see it in the shortcut."""
    proto = residual()
    kept = {"up0": np.arange(4)}  # the first block is all but lost
    x = np.random.default_rng(0).standard_normal((160, 3, 8, 8)).astype(np.float32)
    outcomes = {}
    for method in METHODS:
        coupling, cut, found = repaired(method, proto, kept, ArraySamples({"x": x[:128]}))
        before, after = errors(coupling, cut, found, x[128:])
        assert after < before
        outcomes[method] = after, {row["layer"] for row in found.layers}
    walked, layers = outcomes[lstsq]
    assert {"down0", "down1", "down2", "head"} <= layers
    assert outcomes[obs][1] == {"down0"}
    assert walked < 0.8 * outcomes[obs][0]


def test_streams_and_their_normalised_blocks_are_cut_together():
    proto = residual()
    kept = {"stem": np.arange(9), "up0": np.arange(8), "up1": np.arange(8), "up2": np.arange(8)}
    x = np.random.default_rng(0).standard_normal((160, 3, 8, 8)).astype(np.float32)
    coupling, cut, found = repaired(lstsq, proto, kept, ArraySamples({"x": x[:128]}))
    before, after = errors(coupling, cut, found, x[128:])
    assert after < 0.5 * before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_fewer_samples_than_channels(method, count):
    case = CASES["flattened"]
    x = ArraySamples({"x": case.samples(count)})
    coupling, cut, found = repaired(method, case.proto(), {case.group: KEPT}, x)
    before, after = errors(coupling, cut, found, case.samples(32, seed=2))
    assert np.isfinite(after)
    assert after < 1.5 * before
    assert found.figures["samples"] == count


def test_too_few_samples_for_a_fixed_batch():
    case = CASES["fixed batch"]
    with pytest.raises(UsageError, match="batches of 4"):
        repaired(lstsq, case.proto(), {case.group: KEPT}, ArraySamples({"x": case.samples(3)}))


@pytest.mark.parametrize("method", METHODS)
def test_samples_that_do_not_fill_a_batch_are_left_out(method):
    case = CASES["fixed batch"]
    found = repaired(method, case.proto(), {case.group: KEPT}, ArraySamples({"x": case.samples(30)}))[2]
    assert found.figures["samples"] == 28


@pytest.mark.parametrize("method", METHODS)
def test_a_shared_weight_stays_and_is_named(method):
    proto = CASES["convolution"].proto()
    first = next(i for i, n in enumerate(proto.graph.node) if n.name == "z")
    proto.graph.node[first].output[0] = "one"
    proto.graph.node.insert(first + 1, helper.make_node("Conv", ["a", "w2"], ["two"], "twin"))
    proto.graph.node.insert(first + 2, helper.make_node("Add", ["one", "two"], ["z"], "sum"))
    x = ArraySamples({"x": CASES["convolution"].samples()})
    _, cut, found = repaired(method, proto, {"a": KEPT}, x)
    assert found.notes == ("not repaired: z, twin: its weight is shared with another layer",)
    same = np.array_equal(found.model.constants["w2"].values(), cut.model.constants["w2"].values())
    assert same


@pytest.mark.parametrize("method", METHODS)
def test_quantised_weights_stay(method):
    case = CASES["convolution"]
    proto = case.proto()
    (tensor,) = (t for t in proto.graph.initializer if t.name == "w2")
    values = np.clip(np.round(numpy_helper.to_array(tensor) * 100), -127, 127).astype(np.int8)
    tensor.CopyFrom(numpy_helper.from_array(values, "w2"))
    proto.graph.initializer.append(numpy_helper.from_array(np.float32(0.01), "scale"))
    node = next(n for n in proto.graph.node if n.name == "z")
    node.input[1] = "real"
    proto.graph.node.insert(0, helper.make_node("DequantizeLinear", ["w2", "scale"], ["real"], "dq"))
    _, cut, found = repaired(method, proto, {"a": KEPT}, ArraySamples({"x": case.samples()}))
    assert found.notes == ("not repaired: z: its weight is computed in the graph",)
    assert np.array_equal(found.model.constants["w2"].values(), cut.model.constants["w2"].values())
    assert {row["layer"] for row in found.layers} <= {"y"}


def test_a_weight_that_is_transposed_in_the_graph_is_named():
    case = CASES["product without a bias"]
    proto = case.proto()
    (tensor,) = (t for t in proto.graph.initializer if t.name == "w2")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).T.copy(), "w2"))
    next(n for n in proto.graph.node if n.name == "y").input[1] = "turned"
    proto.graph.node.insert(0, helper.make_node("Transpose", ["w2"], ["turned"], "turn", perm=[1, 0]))
    found = repaired(lstsq, proto, {case.group: KEPT}, ArraySamples({"x": case.samples()}))[2]
    assert found.notes == ("not repaired: y: its weight is computed in the graph",)


def test_what_a_fit_does_not_need_is_not_added():
    """A layer whose inputs are as they were gets no bias."""
    proto = residual()
    x = ArraySamples({"x": np.random.default_rng(0).standard_normal((32, 3, 8, 8)).astype(np.float32)})
    found = repaired(lstsq, proto, {"up2": np.arange(8)}, x)[2]
    new = {t.name for t in found.model.to_proto().graph.initializer} - {
        t.name for t in proto.graph.initializer
    }
    assert new == {"down2.bias"}


def test_names_that_are_taken_are_not_used_again():
    proto = CASES["without a bias"].proto()
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(4, np.float32), "z.bias"))
    next(n for n in proto.graph.node if n.name == "y").input[2] = "z.bias"
    found = repaired(lstsq, proto, {"a": KEPT}, ArraySamples({"x": CASES["convolution"].samples()}))[2]
    (node,) = (n for n in found.model.proto.graph.node if n.name == "z")
    assert node.input[2] == "z.bias.2"


def test_progress_is_told_layer_by_layer():
    told = []
    options = RepairOptions(threads=1, advance=lambda done, total: told.append((done, total)))
    case = CASES["convolution"]
    repaired(lstsq, case.proto(), {case.group: KEPT}, ArraySamples({"x": case.samples()}), options)
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_nothing_that_is_passed_in_changes():
    proto = CASES["without a bias"].proto()
    coupling = couple(load_model(proto))
    kept = {"a": KEPT}
    cut = apply(coupling, kept)
    before = [m.to_proto().SerializeToString() for m in (coupling.model, cut.model)]
    lstsq(coupling, cut, kept, ArraySamples({"x": CASES["without a bias"].samples()}), OPTIONS)
    assert before == [m.to_proto().SerializeToString() for m in (coupling.model, cut.model)]
