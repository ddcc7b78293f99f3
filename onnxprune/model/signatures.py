"""Refuse nodes that do not have the operands and attributes that their operator takes.

ONNX Runtime refuses the same; what is checked here, everything behind may rely on. Operators without a known
schema, and those that a function of the model defines, are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, defs

from onnxprune.errors import InputError
from onnxprune.model.naming import quoted
from onnxprune.model.structure import node_label
from onnxprune.model.versions import ONNX_DOMAINS

_AGAIN = "The file is damaged or was written wrongly; export the model again."
_HELD = {AttributeProto.TENSOR: "t", AttributeProto.GRAPH: "g"}
"""Attributes whose value may be absent although their type is stated, and where they keep it."""
_PARTS = frozenset({"group", "offset_group", "num_groups", "q_num_heads", "kv_num_heads", "blocksize"})
"""Attributes that an axis is divided by. ONNX Runtime 1.31 does not look at some of them: a ConvTranspose of
no groups ends the process."""


def check_signatures(proto: ModelProto, where: str) -> None:
    """Compare each node of a standard operator, those of sub-graphs included, with the operator's schema.

    Raises:
        InputError: naming the node and what it has too many or too few of.
    """
    versions = {"" if o.domain in ONNX_DOMAINS else o.domain: o.version for o in proto.opset_import}
    own = {(function.domain, function.name) for function in proto.functions}
    _check_graph(proto.graph, versions, own, where)


def _check_graph(graph: GraphProto, versions: dict[str, int], own: set[tuple[str, str]], where: str) -> None:
    for position, node in enumerate(graph.node):
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _check_graph(inner, versions, own, where)
        domain = "" if node.domain in ONNX_DOMAINS else node.domain
        schema = _schema(node.op_type, versions.get(domain, 0), domain)
        if schema is None or (node.domain, node.op_type) in own:
            continue
        fault = _counts(node, schema) or _attributes(node.attribute, schema)
        if fault:
            raise InputError(
                f"{where} has a faulty node, {node_label(node, position)}: {fault}.", hint=_AGAIN
            )


@cache
def _schema(operator: str, version: int, domain: str) -> defs.OpSchema | None:
    try:
        return defs.get_schema(operator, version, domain)
    except (defs.SchemaError, TypeError, UnicodeError, OverflowError):
        return None


def _counts(node: NodeProto, schema: defs.OpSchema) -> str:
    for kind, number, least, most in (
        ("inputs", len(node.input), schema.min_input, schema.max_input),
        ("outputs", len(node.output), schema.min_output, schema.max_output),
    ):
        if not least <= number <= most:
            span = (
                f"{least}"
                if least == most
                else f"{least} to {most}"
                if most < 1 << 30
                else f"{least} or more"
            )
            return f"it has {number} {kind} where the operator has {span}"
    if "" in node.output and schema.outputs[-1].option == defs.OpSchema.FormalParameterOption.Variadic:
        return "one of its outputs has no name"  # ONNX Runtime 1.31 ends the process over such a Split
    return ""


def _attributes(found: Iterable[AttributeProto], schema: defs.OpSchema) -> str:
    known = schema.attributes
    seen: set[str] = set()
    for attribute in found:
        name = attribute.name
        if name in seen:
            return f"its attribute {quoted(name)} is there twice"
        seen.add(name)
        if attribute.ref_attr_name:
            return f"its attribute {quoted(name)} stands for one of a function, and the node is in none"
        if name in known and attribute.type != int(known[name].type):
            kinds = [_kind(attribute.type), _kind(int(known[name].type))]
            return f"its attribute {quoted(name)} is of type {kinds[0]} instead of {kinds[1]}"
        if attribute.type in _HELD and not attribute.HasField(_HELD[attribute.type]):
            return f"its attribute {quoted(name)} has no value"
        if name in known and name in _PARTS and attribute.i < 1:
            return f"its attribute {quoted(name)} is {attribute.i} where 1 is the least"
    missing = [name for name, one in known.items() if one.required and name not in seen]
    return f"its attribute {quoted(missing[0])} is missing" if missing else ""


def _kind(number: int) -> str:
    return (
        AttributeProto.AttributeType.Name(number)
        if number in AttributeProto.AttributeType.values()
        else str(number)
    )
