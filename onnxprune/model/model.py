"""A loaded model: the graph and, apart from it, its constants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from onnxprune.model.constants import Constants


@dataclass(frozen=True)
class Model:
    """An ONNX model whose bulk lives outside the graph.

    Attributes:
        proto: the graph; initializers and Constant-node tensors over ``BULK_BYTES`` keep name, dims
            and element type but hold no data. Shared, hence never to be mutated: copy first.
        constants: every initializer and Constant-node output of the main graph.
        path: the file that it came from, if any.
        nbytes: size of the file in bytes, external data included.
        sha256: digest of the ``.onnx`` file (without external data).
        external: the files of external data that the source keeps its values in; keep them when a
            model is derived (``dataclasses.replace``), they decide how the result is saved.
    """

    proto: onnx.ModelProto
    constants: Constants
    path: Path | None = None
    nbytes: int = 0
    sha256: str = ""
    external: tuple[Path, ...] = ()

    def to_proto(self) -> onnx.ModelProto:
        """The whole model in memory, constants in place."""
        from onnxprune.model.assemble import assemble

        return assemble(self)


BULK_BYTES = 256
"""Tensors up to this many bytes stay inside the graph, where shape inference can read them."""
