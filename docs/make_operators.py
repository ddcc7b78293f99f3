"""Writes ``docs/operators.md`` from the registry of rules.

    python docs/make_operators.py [--check]

With ``--check`` nothing is written; the exit status says whether the page is current.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from types import ModuleType

import onnx

from onnxprune.coupling import registry, rules
from onnxprune.coupling.registry import RULES, Clean, Couple, Rule

PAGE = Path(__file__).with_name("operators.md")
OPSET = 23
"""Newest operator set that every supported version of onnx knows, so that any of them gives the same page."""

INTRODUCTION = """\
# Operators

Generated from the registry by `python docs/make_operators.py`; do not edit by hand. How a rule is written
is described in [writing_rules.md](writing_rules.md).

An operator with a rule is *followed*: channels that pass through it can be removed, except where the text
says that an axis stays whole. Every other operator is a *barrier*: the axes that meet it stay as they are,
and the report names it. Nothing is assumed about an operator that nobody described.

Patterns are read like those of einops: a letter names an axis, `(a b)` an axis with two row-major factors,
`...` axes that pass through, `!` axes that stay whole (spatial ones). *mends* says that attributes or shape
operands are derived anew from what is left. *zeros* says when a removed channel of the masked source is
exactly zero behind the operator, which a sum without weights relies on:

"""

BARRIERS = """
## Barriers

Operators of the standard up to opset {opset} without a rule: their operands and results stay whole. So do
those of any other domain that is not listed above. Arithmetic on shapes (a part of the graph that depends on
sizes alone) is computed while the model is read and needs no rule.

{names}.
"""


def page() -> str:
    """The whole page."""
    sections = [section(module) for module in families()]
    return INTRODUCTION + "\n".join(zero_lines()) + "\n\n" + "\n".join(sections) + barriers()


def families() -> Iterator[ModuleType]:
    """Modules of rules, in the order in which the package lists them."""
    for name in rules.__all__:
        found = getattr(rules, name)
        if isinstance(found, ModuleType):
            yield found


def section(family: ModuleType) -> str:
    """One family as a heading, its docstring and a table with a line a rule."""
    by_rule: dict[tuple[Couple, Clean, bool], list[str]] = {}
    for domain, op in RULES.operators():
        rule = rule_of(domain, op)
        if home(rule) == family.__name__:
            key = (rule.couple, rule.clean, rule.fix is not None)
            by_rule.setdefault(key, []).append(f"{domain}.{op}" if domain else op)
    lines = [
        f"## {family.__name__.rpartition('.')[2].capitalize()}",
        "",
        text_of(family),
        "",
        "| operator | rule | mends | zeros |",
        "|---|---|---|---|",
    ]
    for (couple, clean, mends), ops in sorted(by_rule.items(), key=lambda item: item[1]):
        cells = (", ".join(ops), text_of(couple), "yes" if mends else "", name_of(clean))
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def zero_lines() -> Iterator[str]:
    """A line for each way in which zeros pass that several rules share."""
    shared = dict.fromkeys(rule_of(*key).clean for key in RULES.operators())
    for clean in sorted((c for c in shared if c.__module__ == registry.__name__), key=name_of):
        yield f"- *{name_of(clean)}*: {text_of(clean)}"


def barriers() -> str:
    """The operators of the standard that have no rule."""
    latest: dict[str, onnx.defs.OpSchema] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if not schema.domain and schema.since_version <= OPSET:
            known = latest.get(schema.name)
            if known is None or known.since_version < schema.since_version:
                latest[schema.name] = schema
    known_here = {op for domain, op in RULES.operators() if not domain} | {"Constant"}
    names = [name for name, schema in latest.items() if not schema.deprecated and name not in known_here]
    return BARRIERS.format(opset=OPSET, names=", ".join(sorted(names)))


def rule_of(domain: str, op: str) -> Rule:
    """The rule of a registered operator."""
    rule = RULES.get(domain, op)
    assert rule is not None
    return rule


def home(rule: Rule) -> str:
    """Name of the module that a rule was written in."""
    return rule.couple.__module__


def text_of(described: object) -> str:
    """The docstring on one line, in Markdown."""
    return " ".join((getdoc(described) or "").split()).replace("``", "`")


def name_of(clean: Clean) -> str:
    """What a function is called, as words."""
    return clean.__name__.strip("_").replace("_", " ")


def main() -> int:
    """Write or check the page; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell whether the page is current")
    wanted = page()
    if not parser.parse_args().check:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    return int(PAGE.read_text(encoding="utf-8") != wanted)


if __name__ == "__main__":
    sys.exit(main())
