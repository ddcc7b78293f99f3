"""Runs a graph piece by piece over all samples, so that weights may change ahead of where it stands.

Every node is run once. What later nodes will read is kept, batch by batch, in memory or, beyond a bound,
in files that are mapped into it; everything else is forgotten.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import GraphProto, NodeProto, TensorProto, helper

from onnxprune.calibration.samples import Samples
from onnxprune.execution.execution import LOG_NOTHING, Refusal, first_line
from onnxprune.execution.program import reads
from onnxprune.model.assemble import fill
from onnxprune.model.constants import Array, Constant
from onnxprune.model.detach import is_constant
from onnxprune.model.model import Model

MEMORY = 1 << 30
"""Bytes of activations that are kept in memory; what comes on top is kept in a temporary folder."""

Stored = list[Array]
"""A value on all samples: one array a batch."""


class Stages:
    """A model on its way over the samples.

    Args:
        model: to run; its constants may be replaced while it runs.
        samples: what to run it on.
        batch: samples at a time.
        wanted: values that will be fetched, each as often as it is named.
        threads: of ONNX Runtime; None leaves the choice to it.
        memory: bytes of activations to keep in memory; the others go to a temporary folder.

    Raises:
        Refusal: from ``fetch``, where ONNX Runtime does not run a piece.
    """

    def __init__(
        self,
        model: Model,
        samples: Samples,
        *,
        batch: int,
        wanted: Iterable[str] = (),
        threads: int | None = None,
        memory: int = MEMORY,
    ) -> None:
        self.model = model
        self._wanted = Counter(wanted)
        self.constants: dict[str, Constant] = dict(model.constants)
        self._threads = threads
        graph = model.proto.graph
        self._stored = {t.name: t for t in graph.initializer if t.name not in self.constants}
        self._nodes = [n for n in graph.node if not (is_constant(n) and n.output[0] in self.constants)]
        self._makers = {name: i for i, node in enumerate(self._nodes) for name in node.output if name}
        self._readers: dict[str, set[int]] = defaultdict(set)
        for i, node in enumerate(self._nodes):
            for name in reads(node):
                self._readers[name].add(i)
        self._done: set[int] = set()
        self._cellar = _Cellar(memory)
        self._held: dict[str, Stored] = {}
        for part in samples.batches(batch):
            for name, values in part.feed.items():
                self._held.setdefault(name, []).append(self._cellar.keep(values))

    def ahead_of(self, names: Iterable[str]) -> set[int]:
        """Positions of the nodes that have to run before these values are known."""
        found: set[int] = set()
        open_names = list(names)
        while open_names:
            maker = self._makers.get(open_names.pop())
            if maker is not None and maker not in found and maker not in self._done:
                found.add(maker)
                open_names.extend(reads(self._nodes[maker]))
        return found

    def makers_of(self, names: Iterable[str]) -> set[str]:
        """First outputs of the nodes that have still to run before these values are known."""
        return {self._nodes[i].output[0] for i in self.ahead_of(names)}

    def fetch(self, names: Sequence[str]) -> dict[str, Stored]:
        """Run as far as needed for these values.

        Args:
            names: among those announced; each fetch uses up one mention of each.

        Raises:
            Refusal: ONNX Runtime does not run the piece.
            KeyError: a value is gone already, or the graph has no such value.
        """
        piece = sorted(self.ahead_of(names))
        if piece:
            self._run(piece)
        found = {name: self._held[name] for name in names}
        self.release(names)
        return found

    def release(self, names: Iterable[str]) -> None:
        """Use up one mention of each value without fetching it."""
        self._wanted.subtract(names)
        over = [name for name in self._held if self._wanted[name] <= 0 and self._readers[name] <= self._done]
        for name in over:
            self._cellar.drop(self._held.pop(name))

    def _run(self, piece: list[int]) -> None:
        nodes = [self._nodes[i] for i in piece]
        own = set(piece)
        self._done |= own
        made = [name for node in nodes for name in node.output if name]
        kept = [name for name in made if self._wanted[name] > 0 or self._readers[name] - self._done]
        sources = list(dict.fromkeys(n for node in nodes for n in reads(node) if n in self._held))
        session = self._session(nodes, sources, kept)
        results: list[Stored] = [[] for _ in kept]
        for feed in self._feeds(sources):
            try:
                found = session.run(kept, feed)
            except Exception as exc:  # its exception types are not public
                raise Refusal(first_line(exc)) from exc
            for result, values in zip(results, found, strict=True):
                result.append(self._cellar.keep(values))
        self._held.update(zip(kept, results, strict=True))

    def _feeds(self, sources: Sequence[str]) -> Iterator[dict[str, Array]]:
        for i in range(max(len(stored) for stored in self._held.values())):
            yield {name: self._held[name][i] for name in sources}

    def _session(
        self, nodes: Sequence[NodeProto], sources: Sequence[str], results: Sequence[str]
    ) -> ort.InferenceSession:
        graph = GraphProto(name="piece", node=nodes)
        read = dict.fromkeys(name for node in nodes for name in reads(node))
        graph.initializer.extend(self._stored[name] for name in read if name in self._stored)
        for constant in (self.constants[name] for name in read if name in self.constants):
            tensor = TensorProto(name=constant.name, dims=constant.shape, data_type=constant.data_type)
            fill(tensor, constant)
            graph.initializer.append(tensor)
        graph.input.extend(_declare(name, self._held[name]) for name in sources)
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in results)
        proto = self.model.proto
        piece = helper.make_model(graph, opset_imports=proto.opset_import, functions=proto.functions)
        piece.ir_version = max(proto.ir_version, 4)  # below it initializers would have to be inputs
        options = ort.SessionOptions()
        options.log_severity_level = LOG_NOTHING
        options.intra_op_num_threads = self._threads or 0
        try:
            return ort.InferenceSession(
                piece.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # its exception types are not public
            raise Refusal(first_line(exc)) from exc


def _declare(name: str, stored: Stored) -> onnx.ValueInfoProto:
    first = stored[0]
    if isinstance(first, list):  # a sequence; an empty one does not tell its type
        kind = helper.np_dtype_to_tensor_dtype(first[0].dtype) if first else TensorProto.FLOAT
        return helper.make_tensor_sequence_value_info(name, kind, None)
    dims = [f"{name}.{axis}" for axis in range(first.ndim)]
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(first.dtype), dims)


class _Cellar:
    """Keeps arrays in memory up to a bound and maps files for the rest; the files go with it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._number = 0
        self._folder: Path | None = None
        self._files: dict[int, Path] = {}

    def keep(self, values: Array) -> Array:
        if not isinstance(values, np.ndarray):
            return values  # a sequence of arrays
        if self._used + values.nbytes <= self._limit or values.nbytes < 1 << 16:
            self._used += values.nbytes
            return values
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="onnxprune-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{self._number}.npy"
        self._number += 1
        np.save(path, values)
        mapped: Array = np.load(path, mmap_mode="r")
        self._files[id(mapped)] = path
        return mapped

    def drop(self, stored: Stored) -> None:
        for values in stored:
            path = self._files.pop(id(values), None)
            if path is None and isinstance(values, np.ndarray):
                self._used -= values.nbytes
            elif path is not None:
                path.unlink()  # the mapping stays valid as long as somebody holds it
