"""Shapes of what loops return, which inference cannot tell: asked of ONNX Runtime, stated in the file.

tf2onnx leaves a ``Loop`` for recurrent layers that it does not recognise, GRUs among them. Without the
shape of its results nothing behind it could be pruned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

LOOPS = frozenset({"Loop", "Scan", "If"})
Sizes = tuple[int, int]
"""Of a dynamic axis in the two runs that are compared: an axis of a result that differs is that one."""


def declare_results(model: ModelProto) -> None:
    """State the shapes of results of nodes that hold graphs; what does not run is left as it is.

    Args:
        model: changed in place; its dynamic axes have names.
    """
    names = [name for node in model.graph.node if node.op_type in LOOPS for name in node.output if name]
    known = {value.name for value in (*model.graph.value_info, *model.graph.output)}
    wanted = [name for name in names if name not in known]
    if not wanted:
        return
    symbols = _symbols(model)
    try:
        first, second = (
            _results(model, wanted, {symbol: sizes[run] for sizes, symbol in symbols.items()})
            for run in range(2)
        )
    except Exception:  # a model that needs other inputs than zeros still converts
        return
    for name, small, large in zip(wanted, first, second, strict=True):
        if small.ndim != large.ndim:
            continue
        shape = [a if a == b else symbols.get((a, b)) for a, b in zip(small.shape, large.shape, strict=True)]
        kind = helper.np_dtype_to_tensor_dtype(small.dtype)
        model.graph.value_info.append(helper.make_tensor_value_info(name, kind, shape))


def _results(model: ModelProto, names: Sequence[str], sizes: Mapping[str, int]) -> list[np.ndarray]:
    """The named values for zeros as inputs, dynamic axes of the given sizes."""
    import onnxruntime

    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        shape = [dim.dim_value or sizes[dim.dim_param] for dim in tensor.shape.dim]
        feeds[value.name] = np.zeros(shape, helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return list(session.run(list(names), feeds))


def _symbols(model: ModelProto) -> dict[Sizes, str]:
    """Dynamic axes of the inputs by the sizes they get; small for the batch, large for what is convolved."""
    dims = [dim for value in model.graph.input for dim in value.type.tensor_type.shape.dim]
    names = dict.fromkeys(dim.dim_param for dim in dims if dim.dim_param)
    return {(2, 3) if not n else (62 + 2 * n, 94 + 2 * n): name for n, name in enumerate(names)}
