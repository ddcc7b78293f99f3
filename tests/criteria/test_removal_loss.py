"""The criterion ``obs``: what a unit costs once the other weights make up for it."""

from __future__ import annotations

import numpy as np
import pytest
from mixed_networks import CASES, Case
from onnx import numpy_helper, parser

from onnxprune import criterion, gather, prune, score_groups
from onnxprune.calibration import ArraySamples
from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.reconstruction import collecting
from onnxprune.reconstruction.losses import removal_losses
from onnxprune.repair.error import output_errors


def loud(case: Case):
    """A network whose superfluous filters are its largest: 5 to 7 are multiples of filter 0."""
    proto = case.proto()
    for tensor in proto.graph.initializer:
        if tensor.name in ("w1", "b1"):
            values = numpy_helper.to_array(tensor).copy()
            values[5:8] = np.multiply.outer([5, 6, 7], values[0])
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return proto


@pytest.mark.parametrize("name", ["convolution", "normalised", "concatenation", "transposed", "flattened"])
def test_what_others_can_make_up_for_goes_first(name):
    case = CASES[name]
    x = case.samples(48)
    losses = removal_losses(couple(load_model(case.proto())), ArraySamples({"x": x}), threads=1)[case.group]
    ordered = np.sort(losses)
    # eight units span five dimensions: three can go, the next one hurts
    assert ordered[2] < 0.15 * ordered[3]


def test_selection_by_loss_and_repair_beats_norms():
    case = CASES["convolution"]
    proto, x = loud(case), case.samples(64)
    coupling = couple(load_model(proto))
    errors = {}
    for name in ("l1", "obs"):
        result = prune(
            proto, ratio=0.375, criterion=name, data=x, align="off", threads=1, include="a", holdout=0
        )
        (errors[name],) = output_errors(coupling, [result.model], ArraySamples({"x": case.samples(32, 2)}))
    assert errors["obs"] < 0.02
    assert errors["l1"] > 5 * errors["obs"]


def test_a_channel_that_is_never_on_costs_nothing():
    case = CASES["convolution"]
    proto = case.proto()
    node = next(n for n in proto.graph.node if n.name == "z")
    node.input[0] = "r"
    proto.graph.node.insert(1, parser.parse_node("r = Relu (a)"))
    for tensor in proto.graph.initializer:
        if tensor.name == "b1":
            values = numpy_helper.to_array(tensor).copy()
            values[2] = -100
            tensor.CopyFrom(numpy_helper.from_array(values, "b1"))
    given = ArraySamples({"x": case.samples()})
    losses = removal_losses(couple(load_model(proto)), given, threads=1)["a"]
    assert np.argmin(losses) == 2
    assert losses[2] < 0.02 * np.sort(losses)[1]


def test_a_constant_channel_goes_into_the_bias():
    """It is as good as nothing where a constant term can be fitted, whatever its size."""
    case = CASES["convolution"]
    proto = case.proto()
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if tensor.name in ("w1", "b1"):
            values[2] = 50 if tensor.name == "b1" else 0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    losses = removal_losses(couple(load_model(proto)), ArraySamples({"x": case.samples()}), threads=1)["a"]
    assert np.argmin(losses) == 2


ATTENTION = """<ir_version: 8, opset_import: ["" : 17]>
net (float[n, 5, 6] x) => (float[n, 5, 6] y) {
    q = MatMul (x, wq) k = MatMul (x, wk) v = MatMul (x, wv)
    kt = Transpose <perm = [0, 2, 1]> (k)
    s = MatMul (q, kt) a = Softmax (s) o = MatMul (a, v) y = MatMul (o, wo)
}"""


def attention():
    model = parser.parse_model(ATTENTION)
    rng = np.random.default_rng(0)
    for name, shape in {"wq": (6, 8), "wk": (6, 8), "wv": (6, 8), "wo": (8, 6)}.items():
        model.graph.initializer.append(
            numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        )
    for node in model.graph.node:
        node.name = node.output[0]
    return model


def test_channels_that_only_activations_read_are_judged_by_their_weights():
    coupling = couple(load_model(attention()))
    given = ArraySamples({"x": np.random.default_rng(1).standard_normal((16, 5, 6)).astype(np.float32)})
    own = criterion("obs")
    evidence = gather(coupling, given, own.needs, threads=1)
    found = score_groups(coupling.structure, coupling.model.constants, own, evidence=evidence)
    assert found["q"].sum() == pytest.approx(1.0)
    assert any("no layer reads" in note for note in found.notes)
    weights = {name: coupling.model.constants[name].values() for name in ("wq", "wk")}
    shares = sum((own**2).sum(axis=0) for own in weights.values())
    assert np.argsort(found["q"]).tolist() == np.argsort(shares).tolist()
    assert len(np.unique(found["v"])) == 8


def test_the_same_whatever_the_threads_and_the_order_of_calls():
    case = CASES["groups"]
    given = ArraySamples({"x": case.samples()})
    one, other = (removal_losses(couple(load_model(case.proto())), given, threads=1) for _ in range(2))
    for name, losses in one.items():
        assert np.array_equal(losses, other[name])


def test_layers_with_very_many_columns_are_judged_channel_by_channel(monkeypatch):
    """Without second moments the order is by the strength of each channel, seen through the weights."""
    monkeypatch.setattr(collecting, "MOST_COLUMNS", 10)
    for name in ("convolution", "groups", "transposed", "product without a bias"):
        case = CASES[name]
        x = case.samples()
        losses = removal_losses(couple(load_model(case.proto())), ArraySamples({"x": x}), threads=1)
        assert (losses[case.group] > 0).all()
    case = CASES["convolution"]
    proto = case.proto()
    for tensor in proto.graph.initializer:
        if tensor.name in ("w1", "b1"):
            values = numpy_helper.to_array(tensor).copy()
            values[6] *= 100
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    losses = removal_losses(couple(load_model(proto)), ArraySamples({"x": case.samples()}), threads=1)["a"]
    assert np.argmax(losses) == 6


def test_progress_is_told():
    told = []
    case = CASES["convolution"]
    removal_losses(
        couple(load_model(case.proto())),
        ArraySamples({"x": case.samples(8)}),
        threads=1,
        advance=lambda done, total: told.append((done, total)),
    )
    assert told == [(0, 2), (1, 2)]
