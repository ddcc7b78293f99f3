"""Small corrections to what exporters write: names of values and of dynamic axes, operators left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import onnx
from onnx import GraphProto, ModelProto, ValueInfoProto

from onnxprune.errors import InputError
from onnxprune.model.versions import ONNX_DOMAINS

_STACK = "pkg.torch.onnx.stack_trace"
"""Node metadata that only tells where on the exporting machine the Python code lay."""


def graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph and everything nested in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from graphs(inner)


def rename_values(model: ModelProto, names: Mapping[str, str]) -> None:
    """Rename values in place and at once, wherever they are read or written; no two become one."""
    new = distinct(names, _values(model.graph))
    for graph in graphs(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            value.name = new.get(value.name, value.name)
        for node in graph.node:
            for own in (node.input, node.output):
                for position, name in enumerate(own):
                    own[position] = new.get(name, name)


def distinct(names: Mapping[str, str], present: Collection[str]) -> dict[str, str]:
    """The renamings that leave every name its own.

    Args:
        names: new name by old one.
        present: every name there is.
    """
    wanted = {old: new for old, new in names.items() if new and new != old}
    while True:
        count = Counter(wanted.get(name, name) for name in dict.fromkeys(present))
        double = [old for old, new in wanted.items() if count[new] > 1]
        if not double:
            return wanted
        for old in double:
            del wanted[old]


def _values(graph: GraphProto) -> set[str]:
    found = {
        value.name for inner in graphs(graph) for value in (*inner.input, *inner.output, *inner.initializer)
    }
    for inner in graphs(graph):
        for node in inner.node:
            found.update(node.input, node.output)
    return found - {""}


def order_outputs(model: ModelProto, names: Sequence[str]) -> None:
    """Put the outputs of a model in the given order."""
    by_name = {value.name: value for value in model.graph.output}
    ordered = [onnx.ValueInfoProto.FromString(by_name[name].SerializeToString()) for name in names]
    del model.graph.output[:]
    model.graph.output.extend(ordered)


def name_dimensions(model: ModelProto, *, batched: bool) -> None:
    """Give dynamic axes names that mean something and are the same in every run.

    Args:
        model: changed in place.
        batched: whether the first axis of every input and output is the batch.
    """
    del model.graph.value_info[:]  # names of the same axes, and nothing that is not inferred again
    for value in (*model.graph.input, *model.graph.output):
        _name(value, batched=batched)


def _name(value: ValueInfoProto, *, batched: bool) -> None:
    for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
        if not dimension.HasField("dim_value"):
            dimension.dim_param = "batch" if batched and axis == 0 else f"{value.name}_dim_{axis}"


def drop_stack_traces(model: ModelProto) -> None:
    """Remove the exporting machine's paths and code lines from the nodes."""
    for graph in graphs(model.graph):
        for node in graph.node:
            kept = [entry for entry in node.metadata_props if entry.key != _STACK]
            if len(kept) < len(node.metadata_props):
                copies = [onnx.StringStringEntryProto(key=entry.key, value=entry.value) for entry in kept]
                del node.metadata_props[:]
                node.metadata_props.extend(copies)


def check_operators(model: ModelProto, what: str, hint: str) -> None:
    """Refuse a graph in which the exporter left operators that are none of ONNX.

    Raises:
        InputError: naming them.
    """
    left = sorted(
        {
            node.op_type
            for graph in graphs(model.graph)
            for node in graph.node
            if node.domain in ONNX_DOMAINS and not onnx.defs.has(node.op_type)
        }
    )
    if left:
        raise InputError(f"{what} has operators that ONNX does not know: {', '.join(left)}.", hint=hint)
