"""Names of values, and new ones that no value has."""

from __future__ import annotations

from collections.abc import Collection

from onnx import GraphProto


def names_of(graph: GraphProto) -> set[str]:
    """Every name of a graph and of the graphs in it: a name that is new to all of them shadows nothing."""
    names = {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    names |= {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        names.update(node.input)
        names.update(node.output)
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                names |= names_of(inner)
    return names


def fresh_name(wanted: str, taken: Collection[str]) -> str:
    """The wanted name, with a number behind it where it is taken."""
    name, n = wanted, 2
    while name in taken:
        name, n = f"{wanted}.{n}", n + 1
    return name
