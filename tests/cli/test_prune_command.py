"""``onnxprune MODEL``: what it writes, says and returns."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import oracle
import pytest
from command import as_json, onnxprune
from onnx import numpy_helper
from small_networks import chaotic_network, files, network, save, stubborn_network

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path, network())


def test_it_prunes_without_a_verb_and_writes_beside_the_model(model: Path) -> None:
    before = model.read_bytes()
    done = onnxprune(model.name, "--ratio", "0.5", cwd=model.parent)
    assert done.returncode == 0, done.stderr
    assert files(model.parent) == {"model.onnx", "model.pruned.onnx"}
    assert model.read_bytes() == before
    assert done.stderr == ""
    for said in ("parameters", "MACs", "file size", "filters", "verified", "model.pruned.onnx", "head"):
        assert said in done.stdout
    weights = {t.name: t for t in onnx.load(model.with_name("model.pruned.onnx")).graph.initializer}
    assert list(weights["conv1.weight"].dims) == [16, 3, 3, 3]


def test_the_json_object_keeps_the_contract(model: Path) -> None:
    report = as_json(model.name, "--ratio", "0.5", "-o", "small.onnx", cwd=model.parent)
    output = model.with_name("small.onnx")
    assert report["schema"] == 1
    assert report["source"]["path"] == "model.onnx"
    assert report["source"]["bytes"] == model.stat().st_size
    assert report["source"]["opset"] == {"ai.onnx": 17}
    assert report["output"]["bytes"] == output.stat().st_size
    assert report["output"]["written"] is True
    assert report["settings"]["target"] == {"ratio": 0.5}
    assert report["settings"]["criterion"]["name"] == "l1"
    assert report["settings"]["seed"] == 0
    assert report["settings"]["grid"] >= 1
    assert report["settings"]["repair"] == "none"
    _check_totals(report, onnx.load(model), onnx.load(output))
    rows = {row["name"]: row for row in report["layers"]}
    assert list(rows) == ["conv1", "conv2", "head"]
    assert {row["status"] for row in report["layers"]} == {"pruned", "pinned"}
    assert rows["conv1"] == {
        "name": "conv1",
        "op": "Conv",
        "weight": "conv1.weight",
        "channels": [32, 16],
        "group": "conv1",
        "groups": ["conv1"],
        "status": "pruned",
        "reason": "",
        "removed_by": [16],
    }
    assert rows["head"]["group"] is None
    assert "logits" in rows["head"]["reason"]
    found = report["verification"]["masked_equivalence"]
    assert found["checked"] is True
    assert 0 <= found["max_relative_error"] <= found["tolerance"]
    assert found["samples"] >= 1
    assert report["accuracy"] == {}
    assert report["latency"] == {}
    assert report["warnings"] == []
    assert report["missed"] == []


def _check_totals(report: dict, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    sizes = [sum(numpy_helper.to_array(t).size for t in m.graph.initializer) for m in (before, after)]
    assert report["totals"]["params"] == sizes
    assert report["totals"]["bytes"] == [report["source"]["bytes"], report["output"]["bytes"]]
    channels = [row["channels"] for row in report["layers"]]
    assert report["totals"]["filters"] == [sum(c[0] for c in channels), sum(c[1] for c in channels)]
    widths = ([32, 64], [row["channels"][1] for row in report["layers"][:2]])
    macs = [64 * 9 * (3 * a + a * b) + 10 * b for a, b in widths]
    assert report["totals"]["macs"] == macs


def test_the_cuts_rebuild_the_pruned_file(tmp_path: Path) -> None:
    source = FIXTURES / "vgg_fashion.onnx"
    report = as_json(source, "--ratio", "0.4", "-o", tmp_path / "small.onnx")
    pruned = onnx.load(tmp_path / "small.onnx")
    oracle.check(onnx.load(source), pruned, report["cuts"], expect_cut=True)


def test_a_dry_run_writes_no_model(model: Path) -> None:
    report = as_json(model.name, "--ratio", "0.5", "--dry-run", cwd=model.parent)
    assert files(model.parent) == {"model.onnx"}
    assert report["output"]["written"] is False
    written = as_json(model.name, "--ratio", "0.5", cwd=model.parent)
    assert report["totals"] == written["totals"]
    assert report["cuts"] == written["cuts"]


def test_same_command_same_bytes(model: Path) -> None:
    texts = []
    for folder in ("a", "b"):
        (model.parent / folder).mkdir()
        out = Path(folder, "out.onnx")
        given = ("--ratio", "0.4", "--criterion", "random", "--seed", "3", "-o", out)
        done = onnxprune(model.name, *given, "--report", Path(folder, "r.json"), cwd=model.parent)
        assert done.returncode == 0, done.stderr
        texts.append(model.with_name(folder).joinpath("r.json").read_text().replace(f"{folder}/", ""))
    assert (model.parent / "a/out.onnx").read_bytes() == (model.parent / "b/out.onnx").read_bytes()
    assert texts[0] == texts[1]
    other = as_json(model.name, "--ratio", "0.4", "--criterion", "random", "--seed", "4", cwd=model.parent)
    assert other["cuts"] != json.loads(texts[0])["cuts"]


def test_budgets_and_selection_reach_the_plan(model: Path) -> None:
    given = ("--macs", "0.5x", "--align", "off", "--dry-run")
    half = as_json(model.name, *given, cwd=model.parent)
    before, after = half["totals"]["macs"]
    assert 0.45 * before <= after <= 0.5 * before
    spared = as_json(model.name, *given, "--exclude", "conv1", "--scope", "global", cwd=model.parent)
    assert spared["layers"][0]["status"] == "kept"
    assert "--exclude" in spared["layers"][0]["reason"]
    single = as_json(
        model.name, "--ratio", "0", "--layer-ratio", "conv2*=0.5", "--align", "off", cwd=model.parent
    )
    assert [row["channels"][1] for row in single["layers"]] == [32, 32, 10]


def test_alignment_that_moves_the_plan_is_said(model: Path) -> None:
    given = ("--ratio", "0.6", "--dry-run", "--align")
    aligned = as_json(model.name, *given, 32, "--include", "conv1", cwd=model.parent)
    assert aligned["alignment"]["deviation"] > 0.03
    assert "--align off" in aligned["warnings"][-1]
    plain = as_json(model.name, *given, "off", cwd=model.parent)
    assert plain["alignment"]["deviation"] == 0
    assert plain["warnings"] == []


def test_reports_in_both_forms(model: Path) -> None:
    given = ("--ratio", "0.5", "--report", "r.json", "--report", "r.md")
    done = onnxprune(model.name, *given, cwd=model.parent)
    assert done.returncode == 0, done.stderr
    report = json.loads(model.with_name("r.json").read_text())
    assert report["cuts"]["conv1.weight"]["0"]["size"] == 32
    text = model.with_name("r.md").read_text()
    assert text.startswith("# model.onnx")
    assert "| conv1 | Conv | 32 | 16 | pruned |" in text


def test_an_older_output_is_replaced(model: Path) -> None:
    output = model.with_name("model.pruned.onnx")
    output.write_text("old")
    assert onnxprune(model.name, "--ratio", "0.5", "-q", cwd=model.parent).stdout == ""
    onnx.checker.check_model(onnx.load(output))


def test_a_model_named_like_a_verb_is_reached_by_its_path(tmp_path: Path) -> None:
    save(tmp_path, network(), "inspect")
    done = onnxprune("./inspect", "--ratio", "0.5", "-o", "out.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == {"inspect", "out.onnx"}


def test_a_wrong_result_is_reported_but_not_written(tmp_path: Path) -> None:
    model = save(tmp_path, chaotic_network())
    report = as_json(model.name, "--ratio", "0.5", cwd=tmp_path, code=1)
    assert files(tmp_path) == {"model.onnx"}
    assert report["output"]["written"] is False
    assert report["verification"]["masked_equivalence"]["passed"] is False
    assert report["missed"][0].startswith("verification: ")
    unchecked = as_json(model.name, "--ratio", "0.5", "--no-verify", cwd=tmp_path)
    assert files(tmp_path) == {"model.onnx", "model.pruned.onnx"}
    assert unchecked["verification"] == {}


def test_strict_minds_layers_that_stay_untouched(tmp_path: Path) -> None:
    model = save(tmp_path, stubborn_network())
    report = as_json(model.name, "--ratio", "0.5", "--strict", cwd=tmp_path, code=1)
    assert report["output"]["written"] is True
    assert report["missed"] == ["--strict: 1 layer untouched: conv1"]
    assert "Softmax" in report["layers"][0]["reason"]
    relaxed = as_json(model.name, "--ratio", "0.5", cwd=tmp_path)
    assert relaxed["missed"] == []
    plain = save(tmp_path, network(), "plain.onnx")
    assert as_json(plain, "--ratio", "0.5", "--strict", "--exclude", "conv1")["missed"] == []


def test_a_model_that_cannot_be_pruned_is_an_error_with_reasons(tmp_path: Path) -> None:
    model = save(tmp_path, stubborn_network(both=True))
    done = onnxprune(model.name, "--ratio", "0.5", cwd=tmp_path)
    assert done.returncode == 2
    assert "Softmax" in done.stderr
    assert "logits" in done.stderr
    assert files(tmp_path) == {"model.onnx"}
    dry = as_json(model.name, "--ratio", "0.5", "--dry-run", cwd=tmp_path)
    assert dry["cuts"] == {}
    assert dry["warnings"]


def test_ratio_zero_removes_what_nothing_depends_on(tmp_path: Path) -> None:
    model = network()
    weights = {t.name: t for t in model.graph.initializer}
    for name in ("conv1.weight", "conv1.bias"):
        values = numpy_helper.to_array(weights[name]).copy()
        values[[4, 7]] = 0
        weights[name].CopyFrom(numpy_helper.from_array(values, name))
    path = save(tmp_path, model)
    report = as_json(path, "--ratio", "0", "--report", tmp_path / "r.json")
    assert report["layers"][0]["channels"] == [32, 30]
    assert report["verification"]["masked_equivalence"]["passed"] is True
    assert "duplicate" in report["layers"][1]["reason"]
    check = onnxprune("verify", path, tmp_path / "model.pruned.onnx", tmp_path / "r.json")
    assert check.returncode == 0, check.stdout


def test_tiny_weights_are_flushed_and_said(tmp_path: Path) -> None:
    model = network()
    weight = model.graph.initializer[2]
    values = numpy_helper.to_array(weight).copy()
    values[:, :, 0, 0] = 1e-40
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    path = save(tmp_path, model)
    report = as_json(path, "--ratio", "0.5", "--report", tmp_path / "r.json")
    assert any("conv2.weight" in text for text in report["warnings"])
    pruned = onnx.load(tmp_path / "model.pruned.onnx")
    small = next(t for t in pruned.graph.initializer if t.name == "conv2.weight")
    assert not numpy_helper.to_array(small)[:, :, 0, 0].any()
    assert onnxprune("verify", path, tmp_path / "model.pruned.onnx", tmp_path / "r.json").returncode == 0


def test_a_criterion_of_the_users_own(tmp_path: Path) -> None:
    save(tmp_path, network())
    code = "import numpy\nprint('loaded')\ndef first(group, weights):\n    return -numpy.arange(group.size)\n"
    (tmp_path / "mine.py").write_text(code)
    report = as_json("model.onnx", "--ratio", "0.5", "--criterion", "mine:first", cwd=tmp_path)
    assert report["cuts"]["conv1.weight"]["0"]["kept"] == list(range(16))
    (tmp_path / "mine.py").write_text("def first(group, weights):\n    return 1 / 0\n")
    done = onnxprune("model.onnx", "--ratio", "0.5", "--criterion", "mine:first", cwd=tmp_path)
    assert done.returncode == 2
    assert "mine:first" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
