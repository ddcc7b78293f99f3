"""What the hostile inputs of ``benchmarks/fuzz.py`` brought to light, as small graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import oracle
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper, parser
from operator_case import build
from operator_tables import CASES
from strategies import random_graph

import onnxprune
from onnxprune.errors import InputError
from onnxprune.surgery.tidy import tidy

KERNELS = {"k": (8, 3, 3, 3), "k2": (4, 8, 1, 1)}


def model(text: str, **constants: object) -> ModelProto:
    """A graph in text; a tuple is a shape of ones, anything else int64 values."""
    made = parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')
    for name, given in constants.items():
        values = np.ones(given, np.float32) if isinstance(given, tuple) else np.array(given, np.int64)
        made.graph.initializer.append(numpy_helper.from_array(values, name))
    return made


def behind_layers(nodes: str, **constants: object) -> ModelProto:
    """Two convolutions and what follows on their result ``b``, which makes ``y``."""
    text = f"(float[1, 3, 8, 8] x) => (float y) {{ a = Conv (x, k) b = Conv (a, k2) {nodes} }}"
    return model(text, **KERNELS, **constants)


ADDED = "d = Cast <to = 1> (c) y = Add (b, d)"
FAR = 1 << 40
LARGE = {
    "an input": model(
        f"(float[1, 3, {FAR}, 2] x) => (float y) {{ a = Conv (x, k) y = Conv (a, k2) }}", **KERNELS
    ),
    "an input within reach": model(
        "(float[1, 3, 16384, 16384] x) => (float y) { a = Conv (x, k) y = Conv (a, k2) }", **KERNELS
    ),
    "a flattened input": model(
        "(float[1, 3, 33000000, 33000000] x) => (float y) { a = Conv (x, k) b = Conv (a, k2) y = Flatten (b) }",
        **KERNELS,
    ),
    "a filled tensor": behind_layers(f"c = ConstantOfShape (s) {ADDED}", s=[1 << 31]),
    "an expanded number": behind_layers(f"c = Expand (o, s) {ADDED}", s=[1 << 32], o=[1]),
    "a repeated number": behind_layers(f"c = Tile (o, s) {ADDED}", s=[1 << 32], o=[1]),
    "a range": behind_layers(f"c = Range (z, s, o) {ADDED}", s=FAR, o=1, z=0),
    "all pairs": behind_layers(
        f"e = Unsqueeze (o, z) f = Unsqueeze (o, u) c = Add (e, f) {ADDED}",
        o=list(range(60_000)),
        z=[0],
        u=[1],
    ),
    "padding": behind_layers("y = Pad (b, s)", s=[0, 0, 0, 0, 0, 0, 1 << 34, 0]),
    "padding of a layer": model(
        f"(float[1, 3, 8, 8] x) => (float y) {{ a = Conv <pads = [{FAR}, 0, 0, 0]> (x, k) y = Conv (a, k2) }}",
        **KERNELS,
    ),
    "a resized map": behind_layers("y = Resize (b, , , s)", s=[1, 4, 1 << 20, 1 << 20]),
    "repeats upon repeats": behind_layers(
        "c = Tile (b, s) d = Tile (c, s) y = Tile (d, s)", s=[1, 1, 1000, 1000]
    ),
    "an outer product": model(
        "(float[60000, 3] x) => (float y) { a = MatMul (x, k) b = MatMul (a, k2) c = Transpose (b) y = MatMul (b, c) }",
        k=(3, 8),
        k2=(8, 4),
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_nothing_is_allocated_from_a_declared_size(name: str) -> None:
    """Each would take gigabytes and more; what says so takes milliseconds."""
    with pytest.raises(InputError, match=r"too many to run it here|no layer that can be pruned"):
        onnxprune.prune(LARGE[name], ratio=0.4, threads=1)


def test_an_axis_of_no_length_has_nothing_that_must_stay() -> None:
    empty = "g = Slice (b, z, z, o) y = Concat <axis = 2> (b, g)"
    made = behind_layers(empty, z=[0], o=[2])
    result = onnxprune.prune(made, ratio=0.4, align="off", threads=1)
    assert result.report.verification["masked_equivalence"]["passed"]


@pytest.mark.parametrize("value", [3e38, 1e20])
@pytest.mark.parametrize("criterion", ["geometric_median", "cosine", "l2", "lamp"])
def test_weights_at_the_end_of_the_range_are_ranked_without_a_warning(value: float, criterion: str) -> None:
    made = behind_layers("y = Relu (b)")
    values = np.random.default_rng(0).standard_normal(KERNELS["k"]).astype(np.float32)
    values[3] = value
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "k"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = onnxprune.prune(made, ratio=0.4, criterion=criterion, align="off", threads=1, verify=False)
    assert result.report.cuts


@pytest.mark.parametrize("criterion", ["geometric_median", "cosine"])
def test_weights_of_half_precision_are_compared_without_a_warning(criterion: str) -> None:
    made = behind_layers("y = Relu (b)")
    for tensor in made.graph.initializer:
        values = np.random.default_rng(0).standard_normal(tuple(tensor.dims)).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = onnxprune.prune(
            made, ratio=0.4, criterion=criterion, repair="merge", align="off", threads=1, verify=False
        )
    assert result.report.cuts


def test_attributes_that_are_empty_lists() -> None:
    """Where a computed value loses its reader, the graph goes through onnx-graphsurgeon, which loses their type."""
    made = behind_layers("s = Shape (a) y = Relu (b)")
    made.graph.node[0].attribute.add(name="strides", type=AttributeProto.INTS)
    proto, _ = tidy(made, {}, [], {"s"})
    assert [node.op_type for node in proto.graph.node] == ["Conv", "Conv", "Relu"]
    assert proto.graph.node[0].attribute[0].type == AttributeProto.INTS


def test_an_axis_that_is_inserted_twice() -> None:
    with pytest.raises(InputError, match="more than once"):
        onnxprune.prune(behind_layers("y = Unsqueeze (b, at)", at=[2, 2]), ratio=0.4, threads=1)


def test_a_piece_without_a_name() -> None:
    made = behind_layers("c, d = Split <axis = 1> (b) y = Relu (c)")
    made.graph.node[2].output[1] = ""
    with pytest.raises(InputError, match="one of its outputs has no name"):
        onnxprune.prune(made, ratio=0.4, align="off", threads=1)


def test_a_single_number_that_is_denormal() -> None:
    made = behind_layers("y = Mul (b, tiny)")
    made.graph.initializer.append(numpy_helper.from_array(np.array(1e-42, np.float32), "tiny"))
    result = onnxprune.prune(made, ratio=0.4, align="off", threads=1)
    assert result.model.constants["tiny"].values() == 0


def test_a_gather_beyond_the_last_axis() -> None:
    made = behind_layers("c = Gather <axis = 7> (b, z) y = Relu (c)", z=[0])
    with pytest.raises(InputError):
        onnxprune.prune(made, ratio=0.4, threads=1)


@pytest.mark.parametrize("operator", ["Conv", "ConvTranspose"])
def test_no_groups_at_all(operator: str) -> None:
    made = behind_layers(f"y = {operator} <group = 0> (b, k3)")
    made.graph.initializer.append(numpy_helper.from_array(np.ones((4, 4, 1, 1), np.float32), "k3"))
    with pytest.raises(InputError, match="'group' is 0"):  # ONNX Runtime would end the process
        onnxprune.prune(made, ratio=0.4, threads=1)


@pytest.mark.parametrize("kind", [np.complex64, np.float32])
def test_places_that_are_no_whole_numbers(kind: type) -> None:
    made = behind_layers("y = Slice (b, s, e)", e=[2])
    made.graph.initializer.append(numpy_helper.from_array(np.ones(1, kind), "s"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="does not run"):
            onnxprune.prune(made, ratio=0.4, threads=1)


def names(model: ModelProto) -> set[str]:
    return {t.name for t in model.graph.initializer} | {o for n in model.graph.node for o in n.output}


def taken_in_a_branch(source: ModelProto, wanted: list[str]) -> ModelProto:
    """The model with an If in front, whose branches have values of these names."""
    made = ModelProto()
    made.CopyFrom(source)
    value = helper.make_tensor_value_info(wanted[0], TensorProto.FLOAT, None)
    inner = [helper.make_node("Identity", ["taken.x"], [name]) for name in wanted]
    body = helper.make_graph(inner, "branch", [], [value])
    made.graph.initializer.append(helper.make_tensor("taken.x", TensorProto.FLOAT, [1], [1.0]))
    made.graph.input.append(helper.make_tensor_value_info("taken.flag", TensorProto.BOOL, []))
    node = helper.make_node("If", ["taken.flag"], ["taken.y"], then_branch=body, else_branch=body)
    made.graph.node.insert(0, node)
    made.graph.output.append(helper.make_tensor_value_info("taken.y", TensorProto.FLOAT, None))
    return made


def taken_beside(source: ModelProto, wanted: list[str]) -> ModelProto:
    """The model with outputs of these names, of which nothing is known."""
    made = ModelProto()
    made.CopyFrom(source)
    for name in wanted:
        made.graph.node.append(helper.make_node("NonZero", [source.graph.input[0].name], [name]))
        made.graph.output.append(helper.make_tensor_value_info(name, TensorProto.INT64, None))
    return made


COLLIDING = {
    **{f"random {seed}": lambda seed=seed: random_graph(seed) for seed in (2, 3, 5)},
    **{
        name: lambda name=name: build(next(c for c in CASES if str(c) == name))
        for name in ("split-input-13",)
    },
}


@pytest.mark.parametrize("name", COLLIDING)
@pytest.mark.parametrize("take", [taken_in_a_branch, taken_beside])
def test_names_that_pruning_would_give_are_taken(name: str, take: Callable[..., ModelProto]) -> None:
    source = COLLIDING[name]()
    result = onnxprune.prune(source, ratio=0.4, threads=1)
    given = sorted(names(result.model.to_proto()) - names(source))
    assert given
    made = take(source, given)
    again = onnxprune.prune(made, ratio=0.4, threads=1)
    assert again.report.verification["masked_equivalence"]["passed"]
    oracle.check(made, again.model.to_proto(), again.report.cuts)
