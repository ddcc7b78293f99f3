"""A graph run piece by piece, its weights changing ahead of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser
from strategies import random_graph

from onnxprune.calibration import ArraySamples
from onnxprune.execution import Refusal, Runner
from onnxprune.model import load_model
from onnxprune.reconstruction.stages import Stages

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
net (float[n, 3, 6, 6] x, bool[n] unused) => (float[n, 4] y) {
    scale = Constant <value = float {0.5}> ()
    a = Conv <pads = [1, 1, 1, 1]> (x, w1)
    b = Relu (a)
    c = Conv <pads = [1, 1, 1, 1]> (b, w2)
    d = Mul (c, scale)
    e = Add (d, b)
    low = ReduceMin <keepdims = 0> (x)
    zero = Constant <value = float {0.0}> ()
    negative = Less (low, zero)
    f = If (negative) <
        then_branch = yes () => (float[n, 8, 6, 6] kept) { kept = Mul (e, scale) },
        else_branch = no () => (float[n, 8, 6, 6] same) { same = Identity (d) }
    >
    shape = Shape (f)
    first = Gather <axis = 0> (shape, start)
    rest = Concat <axis = 0> (first, minus)
    g = Reshape (f, rest)
    y = MatMul (g, w3)
}"""
VALUES = ("a", "b", "c", "e", "f", "g", "y")


def network(text: str = TEXT, side: int = 6) -> onnx.ModelProto:
    model = parser.parse_model(text)
    rng = np.random.default_rng(0)
    for name, shape in {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "w3": (8 * side**2, 4)}.items():
        values = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    for name, value in {"start": [0], "minus": [-1]}.items():
        model.graph.initializer.append(numpy_helper.from_array(np.array(value), name))
    return model


def samples(count: int = 10, *more: int) -> ArraySamples:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((count, 3, *(more or (6, 6)))).astype(np.float32)
    return ArraySamples({"x": x, "unused": np.zeros(count, bool)})


def expected(model, names, given, batch):
    runner = Runner(model, outputs=list(names), threads=1)
    runs = [runner.run(part.feed) for part in given.batches(batch)]
    return {name: [found[name] for found in runs] for name in names}


def same(found, wanted):
    for own, other in zip(found, wanted, strict=True):
        assert own == pytest.approx(other, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("memory", [1 << 30, 0])
@pytest.mark.parametrize("order", [VALUES, VALUES[::-1], ("f", "a", "y", "c", "b", "g", "e")])
def test_values_are_those_of_a_whole_run_in_any_order(order, memory):
    model, given = load_model(network()), samples()
    stages = Stages(model, given, batch=4, wanted=order, threads=1, memory=memory)
    wanted = expected(model, VALUES, given, 4)
    for name in order:
        same(stages.fetch([name])[name], wanted[name])


@pytest.mark.parametrize("seed", [0, 1, 4, 6])
def test_random_graphs_fetched_value_by_value(seed):
    proto = random_graph(seed)
    model = load_model(proto)
    dims = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(seed).standard_normal((4, *dims[1:])).astype(np.float32)
    given = ArraySamples({proto.graph.input[0].name: x})
    names = [n.output[0] for n in proto.graph.node if n.op_type in ("Conv", "MatMul", "Add", "Reshape")]
    stages = Stages(model, given, batch=2, wanted=names, threads=1)
    wanted = expected(model, names, given, 2)
    for name in names:
        same(stages.fetch([name])[name], wanted[name])


def test_constants_replaced_midway_take_effect_downstream():
    proto, given = network(), samples()
    model = load_model(proto)
    stages = Stages(model, given, batch=4, wanted=["a", "c", "y"], threads=1)
    before = stages.fetch(["a"])["a"]
    twice = 2 * model.constants["w2"].values()
    stages.constants["w2"] = model.constants["w2"].replaced(twice)
    stages.constants["w1"] = model.constants["w1"].replaced(0 * model.constants["w1"].values())  # too late
    changed = network()
    (tensor,) = (t for t in changed.graph.initializer if t.name == "w2")
    tensor.CopyFrom(numpy_helper.from_array(twice, "w2"))
    wanted = expected(load_model(changed), ["a", "c", "y"], given, 4)
    same(before, wanted["a"])
    for name in ("c", "y"):
        same(stages.fetch([name])[name], wanted[name])


def test_values_beyond_the_memory_are_files_and_go_when_they_are_used_up(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model, given = load_model(network(TEXT.replace("6, 6", "32, 32"), 32)), samples(8, 32, 32)
    stages = Stages(model, given, batch=4, wanted=["a", "c"], threads=1, memory=0)
    (first, second) = stages.fetch(["a"])["a"]
    assert isinstance(first, np.memmap)
    assert len(_files(tmp_path)) >= 2
    wanted = expected(model, ["a"], given, 4)["a"]
    stages.fetch(["c"])
    same([first, second], wanted)  # the mapping outlives the file
    left = _files(tmp_path)
    del stages, first, second
    assert len(left) < 10
    assert not _files(tmp_path)


def _files(folder: Path) -> list[Path]:
    return list(folder.rglob("*.npy"))


def test_a_fixed_batch_is_kept():
    model = load_model(network(TEXT.replace("[n", "[1")))
    given = samples(3)
    stages = Stages(model, given, batch=1, wanted=["y"], threads=1)
    same(stages.fetch(["y"])["y"], expected(model, ["y"], given, 1)["y"])


def test_a_released_value_is_gone():
    stages = Stages(load_model(network()), samples(), batch=4, wanted=["y", "y"], threads=1)
    stages.fetch(["y"])
    stages.release(["y"])
    with pytest.raises(KeyError):
        stages.fetch(["y"])


def test_what_lies_ahead_is_told_by_the_outputs_of_the_nodes():
    stages = Stages(load_model(network()), samples(), batch=4, wanted=["b", "d"], threads=1)
    assert stages.makers_of(["d"]) == {"a", "b", "c", "d"}
    stages.fetch(["b"])
    assert stages.makers_of(["d"]) == {"c", "d"}
    assert not stages.makers_of(["x"])


@pytest.mark.parametrize("values", [np.zeros((4, 2, 6, 6), np.float32), np.zeros((4, 3, 6, 6), np.float64)])
def test_samples_that_do_not_fit_are_refused(values):
    stages = Stages(load_model(network()), ArraySamples({"x": values}), batch=2, wanted=["a"], threads=1)
    with pytest.raises(Refusal):
        stages.fetch(["a"])


def test_a_missing_input_is_refused():
    given = ArraySamples({"unused": np.zeros(4, bool)})
    with pytest.raises(Refusal):
        Stages(load_model(network()), given, batch=2, wanted=["a"], threads=1).fetch(["a"])


def test_sequences_between_pieces():
    text = """<ir_version: 8, opset_import: ["" : 17]>
    net (float[n, 3, 6, 6] x) => (float[n, 8, 6, 6] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w1)
        parts = SplitToSequence <axis = 1> (a, minus)
        b = Relu (a)
        joined = ConcatFromSequence <axis = 1> (parts)
        y = Add (b, joined)
    }"""
    proto = network(text.replace("minus", "start2"))
    del proto.graph.initializer[1:]
    proto.graph.initializer.append(helper.make_tensor("start2", onnx.TensorProto.INT64, [], [1]))
    model = load_model(proto)
    given = ArraySamples({"x": np.random.default_rng(2).standard_normal((10, 3, 6, 6)).astype(np.float32)})
    stages = Stages(model, given, batch=4, wanted=["parts", "y"], threads=1)
    stages.fetch(["parts"])
    same(stages.fetch(["y"])["y"], expected(model, ["y"], given, 4)["y"])
