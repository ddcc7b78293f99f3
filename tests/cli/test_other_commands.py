"""``inspect``, ``verify``, ``--help`` and what start-up costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from command import ROOT, as_json, environment, onnxprune
from onnx import numpy_helper
from small_networks import files, network, save, stubborn_network


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with model.onnx, small.onnx and r.json."""
    save(tmp_path, network())
    given = ("--ratio", "0.5", "-o", "small.onnx", "--report", "r.json", "-q")
    done = onnxprune("model.onnx", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_inspect_shows_groups_and_what_holds_the_rest(tmp_path: Path) -> None:
    save(tmp_path, stubborn_network())
    done = onnxprune("inspect", "model.onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("conv2", "64", "Softmax", "feeds the output 'logits'"):
        assert said in done.stdout
    assert files(tmp_path) == {"model.onnx"}


def test_inspect_as_json(tmp_path: Path) -> None:
    save(tmp_path, network())
    found = as_json("inspect", "model.onnx", cwd=tmp_path)
    assert found["planned"] is None
    assert found["totals"]["filters"] == 32 + 64 + 10
    first, second = found["groups"]
    assert (first["name"], first["channels"], first["kept"], first["prunable"]) == ("conv1", 32, None, True)
    assert [(m["tensor"], m["axis"], m["role"]) for m in first["members"]] == [
        ("conv1.weight", 0, "filter"),
        ("conv1.bias", 0, "bias"),
        ("conv2.weight", 1, "input"),
    ]
    assert first["macs"] == 64 * 9 * (3 * 32 + 32 * 64)
    assert second["params"] == 64 * 32 * 9 + 64 + 10 * 64
    assert [row["prunable"] for row in found["layers"]] == [True, True, False]


def test_inspect_foresees_what_pruning_does(tmp_path: Path) -> None:
    save(tmp_path, network())
    given = ("--ratio", "0.4", "--exclude", "conv1")
    found = as_json("inspect", "model.onnx", *given, cwd=tmp_path)
    made = as_json("model.onnx", *given, cwd=tmp_path)
    assert [group["kept"] for group in found["groups"]] == [row["channels"][1] for row in made["layers"][:2]]
    assert "--exclude" in found["groups"][0]["reason"]
    for name, value in found["planned"].items():
        assert value == pytest.approx(made["totals"][name][1], rel=0.01)


def test_verify_accepts_what_prune_wrote(run: Path) -> None:
    found = as_json("verify", "model.onnx", "small.onnx", "r.json", cwd=run)
    assert found["passed"] is True
    assert found["tensors"] == 5
    assert found["notes"] == []
    assert "verified" in onnxprune("verify", "model.onnx", "small.onnx", "r.json", cwd=run).stdout


def test_verify_refuses_a_changed_weight(run: Path) -> None:
    model = onnx.load(run / "small.onnx")
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * 1.5, weight.name))
    save(run, model, "small.onnx")
    found = as_json("verify", "model.onnx", "small.onnx", "r.json", cwd=run, code=1)
    assert found["passed"] is False
    assert "conv1.weight" in found["verification"]["masked_equivalence"]["reason"]
    assert "pruned model" in found["notes"][0]


def test_verify_refuses_cuts_that_were_not_made(run: Path) -> None:
    report = json.loads((run / "r.json").read_text())
    kept = report["cuts"]["head.weight"]["1"]["kept"]
    gone = next(i for i in range(64) if i not in kept)
    report["cuts"]["head.weight"]["1"]["kept"] = sorted([*kept[1:], gone])
    (run / "r.json").write_text(json.dumps(report))
    assert onnxprune("verify", "model.onnx", "small.onnx", "r.json", cwd=run).returncode == 1


BAD_REPORTS = {
    "no file": (None, "does not exist"),
    "no JSON": ("{", "not JSON"),
    "no report": ("[1, 2]", "not a report"),
    "another schema": ('{"schema": 99, "cuts": {}}', "schema 99"),
    "no cuts": ('{"schema": 1}', "no cuts"),
    "cuts of another model": ('{"schema": 1, "cuts": {"w": {"0": {"size": 2, "kept": [0]}}}}', "'w'"),
    "cuts of another form": ('{"schema": 1, "cuts": {"head.bias": [1, 2]}}', "head.bias"),
}


@pytest.mark.parametrize("case", BAD_REPORTS)
def test_verify_refuses_reports_that_are_none(tmp_path: Path, case: str) -> None:
    content, said = BAD_REPORTS[case]
    save(tmp_path, network())
    if content is not None:
        (tmp_path / "r.json").write_text(content)
    done = onnxprune("verify", "model.onnx", "model.onnx", "r.json", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches() -> None:
    done = onnxprune("--help")
    assert done.returncode == 0
    for said in (
        "onnxprune model.onnx --ratio 0.4",
        "--macs",
        "--dry-run",
        "inspect",
        "verify",
        "Exit codes",
    ):
        assert said in done.stdout
    assert "REPORT" in onnxprune("verify", "--help").stdout


def test_version() -> None:
    from onnxprune import __version__

    assert onnxprune("--version").stdout.strip() == f"onnxprune {__version__}"


def test_start_up_imports_nothing_heavy() -> None:
    code = "import sys, onnxprune.cli.app; print(sorted({'onnx', 'onnxruntime', 'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_launcher_in_the_checkout(tmp_path: Path) -> None:
    save(tmp_path, network())
    command = [sys.executable, ROOT / "cli.py", "model.onnx", "--ratio", "0.5", "-q"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(PYTHONPATH=""), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == {"model.onnx", "model.pruned.onnx"}


def test_colours_only_where_they_are_wanted(run: Path) -> None:
    given = ("verify", "model.onnx", "small.onnx", "r.json")
    assert "\x1b" not in onnxprune(*given, cwd=run).stdout
    assert "\x1b" in onnxprune(*given, cwd=run, FORCE_COLOR="1").stdout
