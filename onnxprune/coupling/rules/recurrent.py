"""Recurrent layers: a hidden unit is removed with its rows in every gate."""

from __future__ import annotations

from onnxprune.coupling.edits import Editor
from onnxprune.coupling.groups import Role
from onnxprune.coupling.matching import match
from onnxprune.coupling.notation import parse
from onnxprune.coupling.registry import RULES, Couple
from onnxprune.coupling.site import Axes, Site, Unfollowable

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
ZERO_ACTIVATIONS = {b"tanh", b"sigmoid", b"relu"}
"""With masked weights a gate of these passes a state of zero on unchanged."""


def _pattern(op: str) -> str:
    gates = GATES[op]
    rows = "h" if gates == 1 else f"({gates} h)"
    state = "d b h" if op != "LSTM" else "d b h, d b h, d (3 h)"
    results = "t d b h, d b h" + (", d b h" if op == "LSTM" else "")
    return f"t b i, d {rows} i, d {rows} h, d ({2 * gates} h), b, {state} -> {results}"


def _states_are_zero(site: Site) -> bool:
    """A hidden unit without weights keeps its initial state, which must then be zero."""
    return all(site.clean(i) for i in (5, 6) if site.has(i))


def _fix_hidden(site: Site, editor: Editor) -> None:
    editor.set_attribute("hidden_size", editor.count(site.memo["hidden"]))


def _rule(op: str) -> Couple:
    text = _pattern(op)

    def couple(site: Site) -> list[Axes]:
        if site.attribute("layout", 0):
            raise Unfollowable("recurrent layers of batch-first layout are not followed")
        activations = {a.lower() for a in site.attribute("activations", [])}
        if activations - ZERO_ACTIVATIONS:
            raise Unfollowable("its activations do not keep a state of zero")
        binding = match(site.labels, text, site.all_axes(), {})
        site.labels.pin(binding["d"], "it is the direction axis")
        site.labels.pin(binding["t"], "it is the time axis")
        site.memo = {"hidden": binding["h"]}
        site.layer(1, out=site.axes(1)[1], inner=site.axes(1)[2])
        site.layer(2, out=site.axes(2)[1], inner=site.axes(2)[2])
        site.role(3, Role.BIAS)
        steps = [binding["t"], binding["b"], binding["d"], binding["h"]]
        for inner in ("i", "h"):
            site.macs(GATES[op], [*steps, binding[inner]])
        outputs = [binding.give(words, ()) for words in parse(text).outputs]
        return outputs[: len(site.node.output)]

    couple.__doc__ = f"``{text}``."
    return couple


for _op in GATES:
    RULES.add(_op, clean=_states_are_zero, fix=_fix_hidden)(_rule(_op))
