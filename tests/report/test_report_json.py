"""Reports as JSON, and what is believed when one is read."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path

import pytest
from reports import layer, report
from small_networks import network

import onnxprune
from onnxprune.errors import InputError
from onnxprune.report import claims, dumps, read_claims


def test_what_is_written_is_the_object_itself() -> None:
    data = report().to_dict()
    assert json.loads(dumps(data)) == data


def test_the_keys_of_the_contract_come_first() -> None:
    assert list(report().to_dict())[:10] == [
        "schema",
        "source",
        "output",
        "settings",
        "totals",
        "layers",
        "cuts",
        "verification",
        "accuracy",
        "latency",
    ]


def test_kept_indices_do_not_get_a_line_each() -> None:
    text = dumps(report().to_dict())
    assert len(text.splitlines()) < 60
    assert sum('"first.weight": {"0"' in line for line in text.splitlines()) == 1


@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_numbers_that_json_does_not_know_are_null(value: float) -> None:
    found = {"masked_equivalence": {"max_relative_error": value, "tolerance": 1e-4, "samples": [value, 1.0]}}
    text = dumps({"verification": found, "source": {"a": value}})
    assert json.loads(text) == {
        "verification": {
            "masked_equivalence": {"max_relative_error": None, "tolerance": 1e-4, "samples": [None, 1.0]}
        },
        "source": {"a": None},
    }


def test_names_of_any_script_survive(tmp_path: Path) -> None:
    own = report(layer("卷积\x1b\udc80"), cuts={"卷积": {"0": {"size": 2, "kept": [1]}}})
    path = tmp_path / "r.json"
    path.write_text(dumps(own.to_dict()), encoding="ascii")
    assert json.loads(path.read_text())["layers"][0]["name"] == "卷积\x1b\udc80"
    assert read_claims(path).cuts == own.cuts


def test_texts_that_are_not_utf_8(tmp_path: Path) -> None:
    """Protobuf hands them over as bytes."""
    model = network()
    model.graph.name, model.producer_name = "a-graph", "a-producer"
    content = model.SerializeToString().replace(b"a-graph", b"\xff-graph").replace(b"a-prod", b"\xff-prod")
    (tmp_path / "model.onnx").write_bytes(content)
    report = onnxprune.prune(tmp_path / "model.onnx", ratio=0.4, verify=False).report
    found = json.loads(dumps(report.to_dict()))["source"]
    assert (found["graph"], found["producer"]) == (r"\xff-graph", r"\xff-producer")


def test_claims_of_a_plain_run() -> None:
    found = claims(report().to_dict())
    assert (found.source, found.output) == ("ab", "cd")
    assert found.exact
    assert not found.lossless


def test_claims_of_a_run_that_changed_values() -> None:
    own = report()
    flushed = claims(report(output={**own.output, "flushed": ["w"]}).to_dict())
    assert (flushed.exact, flushed.lossless) == (False, False)
    cleaned = claims(report(settings={**own.settings, "repair": "merge"}).to_dict())
    assert (cleaned.exact, cleaned.lossless) == (False, True)


@pytest.mark.parametrize("data", [None, [], {}, {"schema": 2, "cuts": {}}, {"schema": 1, "cuts": []}])
def test_what_is_no_report_is_refused(data: object) -> None:
    with pytest.raises(InputError):
        claims(data)
