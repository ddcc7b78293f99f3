"""External data: find the files beside the model, and map them instead of reading them."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from onnxprune.errors import InputError
from onnxprune.model.detach import Detached, is_constant, value_attribute
from onnxprune.model.model import BULK_BYTES
from onnxprune.model.naming import quoted
from onnxprune.model.tensors import SourceTensor, check_header, stored_bytes

_MOVE = "External data must be plain files in the model's folder or below it: copy the files there."
_DAMAGED = "The model does not fit its external data; export or download both again."

_MOST_DIGITS = 20  # of a 64-bit number


@dataclass(frozen=True)
class Region:
    """Where in a file the values of a tensor lie."""

    tensor: str
    location: str
    offset: int
    length: int


class DataFiles:
    """The external files of one model, each mapped once.

    Args:
        folder: the model's own folder; files outside it are refused.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, tuple[Path, memoryview]] = {}

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files opened so far, in the order of their first use."""
        return tuple(path for path, _ in self._maps.values())

    @property
    def nbytes(self) -> int:
        """Bytes of these files."""
        return sum(len(view) for _, view in self._maps.values())

    def bytes_of(self, region: Region) -> memoryview:
        """The bytes of a region, mapped from the file.

        Raises:
            InputError: where the file is missing, not allowed, or too short.
        """
        if region.location not in self._maps:
            path = self._resolved(region)
            self._maps[region.location] = path, _mapped(path)
        view = self._maps[region.location][1]
        end = region.offset + region.length
        if end > len(view):
            raise InputError(
                f"Tensor {quoted(region.tensor)} should lie at bytes {region.offset:,} to {end:,} of "
                f"{quoted(region.location)}, which has {len(view):,} bytes.",
                hint=_DAMAGED,
            )
        return view[region.offset : end]

    def _resolved(self, region: Region) -> Path:
        what = f"External data {quoted(region.location)} of tensor {quoted(region.tensor)}"
        location = Path(region.location)
        if not region.location.isprintable() or location.is_absolute() or ".." in location.parts:
            raise InputError(f"{what} must be a relative path inside the model's folder.", hint=_MOVE)
        try:
            root = self._folder.resolve(strict=True)
            path = (root / location).resolve(strict=True)
            mode = path.stat().st_mode
        except FileNotFoundError as exc:
            raise InputError(
                f"{what} is missing from {quoted(self._folder)}.",
                hint="Keep the data file beside the model, under the name that the model states.",
            ) from exc
        except (OSError, RuntimeError) as exc:
            raise InputError(f"{what} cannot be opened: {exc}.", hint=_MOVE) from exc
        if not path.is_relative_to(root):
            raise InputError(f"{what} is a link that leaves the model's folder.", hint=_MOVE)
        if not stat.S_ISREG(mode):
            raise InputError(f"{what} is not a plain file.", hint=_MOVE)
        return path


def place_external(detached: Detached, folder: Path | None) -> tuple[tuple[Path, ...], int]:
    """Give every tensor with external data its bytes, mapped; returns the files and their bytes.

    Tensors that stay inside the graph (small ones, those of subgraphs and functions) are copied into it.

    Raises:
        InputError: where data are missing, outside the folder, out of range, or overlap.
    """
    if not detached.mentions_files:
        return (), 0
    found = [(t, s) for t, s in _pairs(detached) if t.data_location == TensorProto.EXTERNAL]
    _refuse_hidden(detached.proto, len(found))
    if not found:
        return (), 0
    if folder is None:
        raise InputError(
            f"Tensor {quoted(found[0][0].name)} lies in another file, and a model in memory has no folder.",
            hint="Give the path of the .onnx file instead.",
        )
    files = DataFiles(folder)
    regions = [_region(tensor) for tensor, _ in found]
    for (tensor, source), region in zip(found, regions, strict=True):
        raw = files.bytes_of(region)
        tensor.ClearField("data_location")
        del tensor.external_data[:]
        if source is not None:
            source.place(raw)
        if source is None or len(raw) <= BULK_BYTES:
            tensor.raw_data = bytes(raw)
    _refuse_overlaps(regions)
    return files.paths, files.nbytes


def _pairs(detached: Detached) -> Iterator[tuple[TensorProto, SourceTensor | None]]:
    """Every tensor of the light graph, beside the large one that was taken out of it."""
    graph = detached.proto.graph
    yield from zip(graph.initializer, detached.initializers, strict=True)
    for node in graph.node:
        attribute = value_attribute(node) if is_constant(node) else None
        if attribute is not None:
            yield attribute.t, detached.nodes.get(node.output[0])
        else:
            yield from ((tensor, None) for tensor in _node_tensors(node))
    for function in detached.proto.functions:
        for node in function.node:
            yield from ((tensor, None) for tensor in _node_tensors(node))


def _node_tensors(node: NodeProto) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from graph.initializer
            for inner in graph.node:
                yield from _node_tensors(inner)


def _refuse_hidden(proto: ModelProto, placed: int) -> None:
    """Refuse external data of tensors that are nowhere looked for: sparse ones, defaults of functions.

    Whatever runs the model would read the files wherever they are said to be.
    """
    every = [tensor for tensor in _every_tensor(proto) if tensor.data_location == TensorProto.EXTERNAL]
    if len(every) > placed:
        raise InputError(
            f"The model has {len(every) - placed} tensors with external data where none are supported: in "
            "sparse tensors, or outside the graph.",
            hint="Store those values in the model.",
        )


def _every_tensor(message: Any) -> Iterator[TensorProto]:
    """The tensors anywhere in a message."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in [value] if hasattr(value, "ListFields") else value:
                yield from _every_tensor(inner)


def _region(tensor: TensorProto) -> Region:
    """Where the tensor says that its values lie."""
    check_header(tensor)
    entries = {str(entry.key): entry.value for entry in tensor.external_data}
    location, expected = entries.get("location", ""), stored_bytes(tensor)
    if not isinstance(location, str):  # protobuf hands over text that is not UTF-8 as bytes
        raise InputError(
            f"External data of tensor {quoted(tensor.name)} have no readable name.", hint=_DAMAGED
        )
    if tensor.data_type == TensorProto.STRING:
        raise InputError(f"Tensor {quoted(tensor.name)} of strings has external data.", hint=_DAMAGED)
    numbers = {}
    for key, default in (("offset", 0), ("length", expected)):
        text = entries.get(key, str(default))
        if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
            raise InputError(
                f"External data of tensor {quoted(tensor.name)} have the {key} {quoted(text)}.", hint=_DAMAGED
            )
        numbers[key] = int(text)
    if numbers["length"] != expected:
        raise InputError(
            f"External data of tensor {quoted(tensor.name)} are {numbers['length']:,} bytes, "
            f"its shape {list(tensor.dims)} takes {expected:,}.",
            hint=_DAMAGED,
        )
    return Region(tensor.name, str(Path(location)), numbers["offset"], expected)


def _mapped(path: Path) -> memoryview:
    if path.stat().st_size == 0:
        return memoryview(b"")  # an empty file cannot be mapped
    return np.memmap(path, dtype=np.uint8, mode="r").data


def _refuse_overlaps(regions: list[Region]) -> None:
    """Two tensors may share all of their bytes, as exporters do for equal ones, but not a part of them."""
    ordered = sorted((r for r in regions if r.length), key=lambda r: (r.location, r.offset, r.length))
    for first, second in pairwise(ordered):
        same = (first.offset, first.length) == (second.offset, second.length)
        inside = second.location == first.location and second.offset < first.offset + first.length
        if inside and not same:
            raise InputError(
                f"Tensors {quoted(first.tensor)} and {quoted(second.tensor)} overlap in "
                f"{quoted(first.location)} (from byte {second.offset:,} on).",
                hint=_DAMAGED,
            )
