"""Refuse local functions that call themselves, or that grow beyond all bounds when they are put in place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onnx import FunctionProto, ModelProto, NodeProto

from onnxprune.errors import InputError
from onnxprune.model.naming import quoted

MOST_NODES = 250_000
"""Nodes of a model whose functions are put in place of their calls."""
MOST_BYTES = 1 << 31
"""Bytes of these; what protobuf holds at most."""
DEEPEST = 100
"""Functions that call each other in a row; the inliner of onnx goes down by one stack frame for each."""

Key = tuple[str, str, str]
"""Domain, name and overload."""

_EXPORT = "Export the model without functions."


@dataclass
class _Weight:
    """What one call of a function leaves in the graph."""

    nodes: int = 0
    nbytes: int = 0
    depth: int = 0


@dataclass
class _Body:
    """The parts of a function, or of the main graph, that count.

    Attributes:
        nodes: of its own.
        nbytes: of its own.
        calls: how often it calls each function.
    """

    nodes: int
    nbytes: int
    calls: Counter[Key] = field(default_factory=Counter)


def check_functions(proto: ModelProto, where: str) -> None:
    """Refuse functions that are defined twice, call themselves, or expand to more than any model needs.

    Raises:
        InputError: naming the function.
    """
    if not proto.functions:
        return
    bodies: dict[Key, _Body] = {}
    for function in proto.functions:
        key = (_domain(function.domain), function.name, function.overload)
        if not all(isinstance(part, str) for part in key):
            raise InputError(f"{where} has a function whose name is not UTF-8 text.", hint=_EXPORT)
        if key in bodies:
            raise InputError(f"{where} defines the function {_label(key)} twice.", hint=_EXPORT)
        bodies[key] = _Body(0, function.ByteSize())
    for key, function in zip(list(bodies), proto.functions, strict=True):
        _count(bodies[key], function, bodies)
    main = _Body(0, proto.graph.ByteSize())
    _count(main, proto.graph, bodies)
    weights: dict[Key, _Weight] = {}
    for key in main.calls:
        _weigh(key, bodies, weights, where)
    _check_size(_total(main, weights), where)


def _count(body: _Body, holder: FunctionProto, known: dict[Key, _Body]) -> None:
    for node in _every(holder.node):
        body.nodes += 1
        key = (_domain(node.domain), node.op_type, node.overload)
        if key in known:
            body.calls[key] += 1


def _every(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """The nodes and those of their sub-graphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _every(graph.node)


def _weigh(start: Key, bodies: dict[Key, _Body], weights: dict[Key, _Weight], where: str) -> None:
    """Find the weight of a function and of all that it calls, without recursion: files may nest deeply."""
    trail: list[Key] = []
    work = [(start, iter(bodies[start].calls))]
    trail.append(start)
    while work:
        key, calls = work[-1]
        following = next((call for call in calls if call not in weights), None)
        if following is None:
            weights[key] = _total(bodies[key], weights)
            _check_size(weights[key], where)
            work.pop()
            trail.pop()
        elif following in trail:
            ring = " -> ".join(_label(one) for one in (*trail[trail.index(following) :][:4], following))
            raise InputError(f"{where} has functions that call themselves: {ring}.", hint=_EXPORT)
        elif len(trail) >= DEEPEST:
            raise InputError(
                f"{where} has functions that call each other more than {DEEPEST} deep.", hint=_EXPORT
            )
        else:
            work.append((following, iter(bodies[following].calls)))
            trail.append(following)


def _total(body: _Body, weights: dict[Key, _Weight]) -> _Weight:
    called = [(weights[key], number) for key, number in body.calls.items()]
    return _Weight(
        body.nodes + sum(weight.nodes * number for weight, number in called),
        body.nbytes + sum(weight.nbytes * number for weight, number in called),
        1 + max((weight.depth for weight, _ in called), default=0),
    )


def _check_size(weight: _Weight, where: str) -> None:
    if weight.nodes > MOST_NODES or weight.nbytes > MOST_BYTES:
        raise InputError(
            f"{where} has functions that expand to more than {MOST_NODES:,} nodes or {MOST_BYTES >> 30} GiB.",
            hint=_EXPORT,
        )
    if weight.depth > DEEPEST:
        raise InputError(
            f"{where} has functions that call each other more than {DEEPEST} deep.", hint=_EXPORT
        )


def _domain(name: str) -> str:
    """The standard domain has two spellings."""
    return "" if name == "ai.onnx" else name


def _label(key: Key) -> str:
    return quoted(".".join(part for part in key if part))
