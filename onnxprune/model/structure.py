"""Refuse graphs whose names do not form an ordered, acyclic, single-assignment program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import GraphProto, NodeProto

from onnxprune.errors import InputError
from onnxprune.model.naming import quoted

_AGAIN = "The file is damaged or was written wrongly; export the model again."
_SORT = (
    "ONNX requires every node after those that it reads; sort the graph first, for example with "
    "onnx_graphsurgeon: gs.export_onnx(gs.import_onnx(model).toposort())."
)


def check_structure(graph: GraphProto, where: str) -> None:
    """Refuse what is empty, defined twice, never defined, out of order or cyclic.

    Raises:
        InputError: naming the tensor and the node.
    """
    if not graph.node:
        raise InputError(f"{where} has an empty graph: no nodes.", hint="There is nothing to prune in it.")
    if not graph.output:
        raise InputError(f"{where} has a graph without outputs.", hint=_AGAIN)
    known = _given(graph)
    for position, node in enumerate(graph.node):
        _check_text(node, position)
        for name in _reads(node):
            if name not in known:
                raise _unknown(graph, position, name)
        for name in node.output:
            if name in known:
                raise InputError(
                    f"Tensor {quoted(name)} is defined twice, the second time by node "
                    f"{node_label(node, position)}.",
                    hint=_AGAIN,
                )
            if name:
                known.add(name)
    for value in graph.output:
        if value.name not in known:
            raise InputError(f"Graph output {quoted(value.name)} is produced by no node.", hint=_AGAIN)


def node_label(node: NodeProto, position: int) -> str:
    """How messages call a node: its name or its position, and its operator."""
    name = quoted(node.name) if node.name else f"number {position}"
    return f"{name} ({quoted(node.op_type)[1:-1]})"


def _given(graph: GraphProto) -> set[str]:
    """Names that exist before the first node: inputs and initializers, each kind without repeats."""
    kinds: dict[str, list[str]] = {
        "input": [value.name for value in graph.input],
        "initializer": [tensor.name for tensor in graph.initializer]
        + [sparse.values.name for sparse in graph.sparse_initializer],
    }
    for kind, names in kinds.items():
        seen: set[str] = set()
        for name in names:
            if not isinstance(name, str) or not name:
                raise InputError(f"The graph has an {kind} without a readable name.", hint=_AGAIN)
            if name in seen:
                raise InputError(f"The graph has two {kind}s named {quoted(name)}.", hint=_AGAIN)
            seen.add(name)
    return set(kinds["input"]) | set(kinds["initializer"])


def _check_text(node: NodeProto, position: int) -> None:
    """Protobuf hands over text that is not UTF-8 as bytes."""
    texts: Iterable[object] = (node.name, node.op_type, node.domain, *node.input, *node.output)
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"Node number {position} has a name that is not UTF-8 text.", hint=_AGAIN)
    if not node.op_type:
        raise InputError(f"Node {node_label(node, position)} names no operator.", hint=_AGAIN)


def _reads(node: NodeProto) -> Iterator[str]:
    """Names that a node needs, those that its subgraphs take from outside included."""
    for name in node.input:
        if name:
            yield name
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield from _captured(attribute.g)
        for graph in attribute.graphs:
            yield from _captured(graph)


def _captured(graph: GraphProto) -> Iterator[str]:
    """Names that a subgraph takes from the graph around it."""
    known = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    known |= {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        yield from (name for name in _reads(node) if name not in known)
        known.update(node.output)
    yield from (value.name for value in graph.output if value.name not in known)


def _unknown(graph: GraphProto, position: int, name: str) -> InputError:
    """The error for a name that is read before it exists: never made, made in a cycle, or made later."""
    node = graph.node[position]
    label = node_label(node, position)
    producers = {made: i for i, other in enumerate(graph.node) for made in other.output}
    if name not in producers:
        return InputError(f"Node {label} reads tensor {quoted(name)}, which nothing produces.", hint=_AGAIN)
    cycle = _cycle(graph, producers, producers[name])
    if cycle:
        labels = [node_label(graph.node[i], i) for i in cycle[:4]]
        more = f" and {len(cycle) - 4} more" if len(cycle) > 4 else ""
        return InputError(f"The graph has a cycle through the nodes {', '.join(labels)}{more}.", hint=_AGAIN)
    maker = node_label(graph.node[producers[name]], producers[name])
    return InputError(
        f"The graph is not sorted: node {label} reads {quoted(name)}, which a later node {maker} produces.",
        hint=_SORT,
    )


def _cycle(graph: GraphProto, producers: dict[str, int], start: int) -> list[int]:
    """Positions of the nodes of a cycle that the given node depends on; empty if there is none.

    They start at the one that comes first in the file; each reads from the one after it.
    """
    trail: list[int] = []
    on_trail: set[int] = set()
    done: set[int] = set()
    work: list[tuple[int, Iterator[int]]] = []

    def enter(position: int) -> None:
        trail.append(position)
        on_trail.add(position)
        sources = [producers[name] for name in _reads(graph.node[position]) if name in producers]
        work.append((position, iter(sources)))

    enter(start)
    while work:
        position, sources = work[-1]
        following = next(sources, None)
        if following is None:
            work.pop()
            trail.pop()
            on_trail.discard(position)
            done.add(position)
        elif following in on_trail:
            cycle = trail[trail.index(following) :]
            first = cycle.index(min(cycle))
            return cycle[first:] + cycle[:first]
        elif following not in done:
            enter(following)
    return []
