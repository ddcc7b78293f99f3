"""Every operator between two layers: cut at ratio 0.4, or pinned with the reason, and right either way."""

from __future__ import annotations

import onnx
import oracle
import pytest
from onnx import parser
from operator_case import Case, build
from operator_tables import CASES
from pruning import prune_randomly

from onnxprune.coupling import couple
from onnxprune.model import load_model


@pytest.mark.parametrize("case", CASES, ids=str)
def test_operator(case: Case) -> None:
    model = build(case)
    pruned = prune_randomly(model, 0.4, seed=1)
    half = any(i.data_type == onnx.TensorProto.FLOAT16 for i in model.graph.initializer)
    oracle.check(
        model, pruned.proto, pruned.cuts, tolerance=5e-3 if half or "Cast<to=10>" in case.body else 1e-4
    )
    if case.pinned == "*":
        return
    weight, axis = case.filters
    cut = pruned.cuts.get(weight, {}).get(str(axis))
    if case.pinned:
        assert cut is None, f"{weight} lost filters, which {case.pinned} should have prevented"
        assert case.pinned.lower() in pruned.reason(weight).lower()
    else:
        assert cut is not None, f"{weight} was left whole: {pruned.reason(weight)}"
        if case.kept is not None:
            assert len(cut["kept"]) == case.kept
        assert not pruned.reason(weight)


def test_an_operator_that_nothing_knows_pins() -> None:
    model = build(next(c for c in CASES if c.name == "relu"))
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    node.op_type, node.domain = "Frobnicate", "nobody.knows"
    model.opset_import.append(onnx.helper.make_opsetid("nobody.knows", 1))
    layers = {layer.weight: layer for layer in couple(load_model(model)).structure.layers}
    assert "Frobnicate" in layers["x.weight"].reason


def test_names_are_unique() -> None:
    names = [str(case) for case in CASES]
    assert len(names) == len(set(names))


def test_text_syntax_of_onnx_is_available() -> None:
    assert parser.parse_graph("g (float x) => (float y) { y = Relu(x) }").node[0].op_type == "Relu"
