"""Which opset and IR versions can be worked with."""

from __future__ import annotations

import re
from functools import lru_cache

from onnx import ModelProto, TensorProto, helper

from onnxprune.errors import InputError

OLDEST_OPSET = 7
"""ONNX Runtime promises nothing below."""
ALWAYS_OPSET, ALWAYS_IR = 21, 10
"""Up to these, every supported ONNX Runtime (1.27 and later) loads a model; beyond, it is asked.

For reference: 1.31 admits opset 26 and IR 13.
"""
ONNX_DOMAINS = ("", "ai.onnx")
_PLACE = re.compile(r"^.*?\.(?:cc|h):\d+ .*?\) (?=[A-Z])")
"""The source line and C++ signature that ONNX Runtime puts before what it has to say."""
_STATE = "Export the model again, or state versions that fit with onnx.helper.make_model."


def check_versions(proto: ModelProto, where: str) -> None:
    """Refuse IR and opset versions that are missing, or that ONNX Runtime does not load.

    Raises:
        InputError: naming the version.
    """
    if proto.ir_version <= 0:
        raise InputError(f"{where} states no IR version.", hint=_STATE)
    if not proto.opset_import:
        raise InputError(f"{where} imports no operator set.", hint=_STATE)
    versions = [entry.version for entry in proto.opset_import if entry.domain in ONNX_DOMAINS]
    if not versions:
        if any(node.domain in ONNX_DOMAINS for node in proto.graph.node):
            raise InputError(f"{where} uses ONNX operators but does not import their set.", hint=_STATE)
        versions = [ALWAYS_OPSET]
    opset = max(versions)
    if opset < OLDEST_OPSET:
        raise InputError(
            f"{where} has opset {opset}; {OLDEST_OPSET} is the oldest that can be used.",
            hint="Convert it with onnx.version_converter.convert_version, or export it again.",
        )
    if opset > ALWAYS_OPSET or proto.ir_version > ALWAYS_IR:
        _ask_runtime(int(opset), int(proto.ir_version), where)


def _ask_runtime(opset: int, ir_version: int, where: str) -> None:
    refusal = _refusal(opset, ir_version)
    if refusal:
        import onnxruntime

        raise InputError(
            f"{where} has opset {opset} and IR version {ir_version}, which the installed ONNX Runtime "
            f"{onnxruntime.__version__} does not load ({refusal}).",
            hint=f"Export it with opset {ALWAYS_OPSET} and IR version {ALWAYS_IR}, lower them with "
            "onnx.version_converter.convert_version and model.ir_version, or install a newer onnxruntime.",
        )


@lru_cache
def _refusal(opset: int, ir_version: int) -> str:
    """Why the installed ONNX Runtime refuses a minimal model of these versions; empty if it does not."""
    import onnxruntime

    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "probe", value[:1], value[1:])
    model = helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # its exception types are not public
        return _PLACE.sub("", str(exc).strip()).splitlines()[0][:200].rstrip(".")
    return ""
