"""Refuse models that cannot be pruned, with one sentence that says why.

``onnx.checker`` is not used: it wants the weights in the graph, refuses operators that it does not
know (which are legal here, they only pin what they touch) and dialects that ONNX Runtime runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from onnx import TensorProto

from onnxprune.errors import InputError
from onnxprune.model.constants import Array, Constants
from onnxprune.model.detach import Detached
from onnxprune.model.functions import check_functions
from onnxprune.model.naming import quoted
from onnxprune.model.signatures import check_signatures
from onnxprune.model.structure import check_structure
from onnxprune.model.tensors import ELEMENT_TYPES
from onnxprune.model.versions import check_versions

Check = Callable[[Detached, str], None]

_CHUNK = 1 << 20
_EXPONENTS = {TensorProto.FLOAT16: 0x7C00, TensorProto.BFLOAT16: 0x7F80}
"""Exponent bits of 16-bit floats: all set in infinities and NaNs, and only there."""


def validate(detached: Detached, where: str) -> None:
    """Run every check on a model that was just loaded.

    Args:
        detached: light graph and constants, external data placed.
        where: how messages call the model.

    Raises:
        InputError: by the first check that fails.
    """
    for check in CHECKS:
        check(detached, where)


def _check_data(detached: Detached, where: str) -> None:
    for tensor in detached.tensors():
        tensor.check_length()


def _check_ends(detached: Detached, where: str) -> None:
    graph = detached.proto.graph
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            stated = value.type.tensor_type.elem_type
            if stated not in ELEMENT_TYPES and stated != TensorProto.UNDEFINED:
                raise InputError(
                    f"Graph {kind} {quoted(value.name)} has the element type {stated}, which this version of "
                    "onnx does not know.",
                    hint="The file is damaged, or newer than the installed onnx.",
                )


CHECKS: tuple[Check, ...] = (
    lambda detached, where: check_structure(detached.proto.graph, where),
    lambda detached, where: check_versions(detached.proto, where),
    lambda detached, where: check_functions(detached.proto, where),
    lambda detached, where: check_signatures(detached.proto, where),
    _check_ends,
    _check_data,
)


def check_finite(constants: Constants, names: Iterable[str] | None = None) -> None:
    """Refuse weights that are NaN or infinite: no norm ranks them, and no comparison survives them.

    Args:
        constants: the model's constants.
        names: those to look at, None for all. Attention masks and clip bounds may rightly be infinite,
            so pass the constants that are going to be cut.

    Raises:
        InputError: naming the first such tensor and how many of its values are concerned.
    """
    chosen = constants if names is None else dict.fromkeys(names)
    for name in chosen:
        constant = constants[name]
        bad = _count_not_finite(constant.values()) if constant.is_float else 0
        if bad:
            raise InputError(
                f"Tensor {quoted(name)} has {bad:,} of {constant.size:,} values that are NaN or infinite.",
                hint="The model was trained or converted wrongly; repair it first.",
            )


def _count_not_finite(values: Array) -> int:
    """How many elements are NaN or infinite, looked at in chunks that stay in the processor's cache."""
    flat = values.reshape(-1)
    starts = range(0, flat.size, _CHUNK)
    return sum(_not_finite(flat[start : start + _CHUNK]) for start in starts)


def _not_finite(chunk: Array) -> int:
    if chunk.dtype.itemsize != 2:
        return int(chunk.size - np.count_nonzero(np.isfinite(chunk)))
    data_type = TensorProto.FLOAT16 if chunk.dtype == np.float16 else TensorProto.BFLOAT16
    mask = np.uint16(_EXPONENTS[data_type])
    return int(np.count_nonzero((chunk.view(np.uint16) & mask) == mask))
