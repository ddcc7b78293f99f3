"""Linear operators as matrix products, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from onnxprune.reconstruction.columns import COLUMNS

# operator, shape of the input, shape of the weight, attributes
CASES = {
    "plain": ("Conv", (2, 4, 9, 8), (6, 4, 3, 3), {}),
    "asymmetric pads": ("Conv", (2, 4, 9, 8), (6, 4, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "groups, dilated": ("Conv", (2, 4, 9, 8), (6, 2, 3, 2), {"group": 2, "dilations": [2, 1]}),
    "depthwise": ("Conv", (2, 4, 6, 6), (4, 1, 3, 3), {"group": 4, "pads": [1] * 4}),
    "depthwise, multiplied": ("Conv", (2, 4, 6, 6), (8, 1, 3, 3), {"group": 4, "pads": [1] * 4}),
    "same, upper": ("Conv", (2, 4, 9, 8), (4, 4, 3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same, lower": ("Conv", (2, 4, 9, 8), (4, 4, 4, 4), {"auto_pad": "SAME_LOWER", "strides": [1, 2]}),
    "valid": ("Conv", (2, 4, 9, 8), (4, 4, 2, 3), {"auto_pad": "VALID", "strides": [3, 1]}),
    "pointwise, strided": ("Conv", (2, 4, 9, 8), (5, 4, 1, 1), {"strides": [2, 3]}),
    "one axis": ("Conv", (2, 4, 9), (6, 4, 3), {"pads": [1, 1]}),
    "one axis, causal": ("Conv", (2, 4, 9), (6, 4, 3), {"pads": [4, 0], "dilations": [2]}),
    "three axes": ("Conv", (2, 4, 5, 6, 7), (6, 4, 3, 2, 1), {"pads": [1, 1, 0, 1, 0, 0]}),
    "transposed": ("ConvTranspose", (2, 4, 5, 6), (4, 3, 3, 3), {}),
    "transposed, strided": ("ConvTranspose", (2, 4, 5, 6), (4, 3, 2, 2), {"strides": [2, 2]}),
    "transposed, groups": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"group": 2, "strides": [2, 3], "pads": [1, 1, 0, 2], "output_padding": [1, 0]},
    ),
    "transposed, depthwise": ("ConvTranspose", (2, 4, 5, 6), (4, 1, 3, 3), {"group": 4, "strides": [2, 2]}),
    "transposed, dilated": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "dilations": [2, 1], "pads": [1, 0, 1, 1]},
    ),
    "transposed, same": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "transposed, same, lower": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ),
    "transposed, to a shape": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "output_shape": [10, 12]},
    ),
    "transposed, to a larger shape": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "output_shape": [12, 14]},
    ),
    "transposed, to a shape, upper": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "output_shape": [10, 12], "auto_pad": "SAME_UPPER"},
    ),
    "transposed, to a shape, extended": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "output_shape": [10, 12], "output_padding": [1, 1]},
    ),
    "transposed, valid": (
        "ConvTranspose",
        (2, 4, 5, 6),
        (4, 3, 3, 3),
        {"strides": [2, 2], "auto_pad": "VALID", "output_padding": [1, 0]},
    ),
    "transposed, one axis": ("ConvTranspose", (2, 4, 5), (4, 3, 4), {"strides": [2], "pads": [1, 1]}),
    "matrix": ("MatMul", (5, 4), (4, 7), {}),
    "tokens": ("MatMul", (2, 5, 4), (4, 7), {}),
    "heads": ("MatMul", (2, 3, 5, 4), (4, 7), {}),
    "gemm": ("Gemm", (5, 4), (4, 7), {}),
    "gemm, transposed": ("Gemm", (5, 4), (7, 4), {"transB": 1}),
}


def ran(op, x, weight, attributes):
    node = helper.make_node(op, ["x", "w"], ["y"], **attributes)
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", 1, x.shape)],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(weight, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return node, session.run(None, {"x": x})[0]


@pytest.mark.parametrize("case", CASES)
def test_rows_times_the_packed_weight_are_the_outputs(case):
    op, size, shape, attributes = CASES[case]
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(s).astype(np.float32) for s in (size, shape))
    node, y = ran(op, x, weight, attributes)
    assert not COLUMNS[op].obstacle(node, shape)
    columns = COLUMNS[op](node, shape)
    number = columns.positions(y)
    assert number * columns.channels == y.size
    assert y.shape[columns.channel_axis] == columns.channels
    assert x.shape[columns.channel_axis] == columns.groups * columns.inputs
    chosen = np.sort(rng.permutation(number)[: max(1, number // 2)])
    rows, packed = columns.rows(x, chosen, y.shape), columns.pack(weight)
    found = np.einsum("grk,gko->gro", rows, packed)
    assert found == pytest.approx(columns.targets(y, chosen), abs=1e-4)
    assert np.array_equal(columns.unpack(packed, shape), weight)
    # channels of the output are numbered group by group
    every = columns.targets(y, np.arange(number)).transpose(1, 0, 2).reshape(number, -1)
    assert np.array_equal(every, np.moveaxis(y, columns.channel_axis, -1).reshape(number, -1))


@pytest.mark.parametrize("case", CASES)
def test_a_column_knows_its_input_channel(case):
    op, size, shape, attributes = CASES[case]
    x = np.ones(size, np.float32)
    node, y = ran(op, x, np.ones(shape, np.float32), attributes)
    columns = COLUMNS[op](node, shape)
    # the value of each channel is its own number, so a row repeats the numbers of its columns
    number = 1 + np.arange(columns.groups * columns.inputs, dtype=np.float32)
    along = [1] * len(size)
    along[columns.channel_axis] = -1
    rows = columns.rows(x * number.reshape(along), np.arange(columns.positions(y)), y.shape)
    own = number.reshape(columns.groups, 1, -1)[:, :, columns.channel_of()]
    assert np.all((rows == own) | (rows == 0))  # 0 where the map is padded
    assert ((rows == own).any(axis=1)).all()


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "said"),
    [
        ("Gemm", (4, 7), {"alpha": 0.5}, "scales"),
        ("Gemm", (4, 7), {"beta": 0.0}, "scales"),
        ("Gemm", (4, 7), {"transA": 1}, "transposed"),
        ("MatMul", (2, 4, 7), {}, "stack"),
        ("MatMul", (4,), {}, "stack"),
        ("Conv", (4, 7), {}, "extent"),
    ],
)
def test_what_is_no_such_product_says_why(op, shape, attributes, said):
    node = helper.make_node(op, ["x", "w"], ["y"], **attributes)
    assert said in COLUMNS[op].obstacle(node, shape)
