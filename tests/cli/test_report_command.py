"""Report files from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import onnxprune as run

import onnxprune
from onnxprune.errors import OutputError, UsageError

MODEL = Path(__file__).parents[2] / "fixtures" / "mlp_fashion.onnx"


def test_the_same_command_writes_the_same_page(tmp_path: Path) -> None:
    files = ["a b.html", "r.json", "r.md"]
    texts = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        (folder / "model.onnx").write_bytes(MODEL.read_bytes())
        wanted = [word for file in files for word in ("--report", file)]
        done = run("model.onnx", "--ratio", "0.4", *wanted, cwd=folder, PYTHONHASHSEED=seed)
        assert done.returncode == 0, done.stderr
        texts.append([(folder / file).read_bytes() for file in files])
    assert texts[0] == texts[1]
    line = "onnxprune model.onnx --ratio 0.4 --report 'a b.html' --report r.json --report r.md"
    assert json.loads(texts[0][1])["command"] == line
    assert line.replace("'", "&#39;").encode() in texts[0][0]


def test_a_report_is_written_from_python_too(tmp_path: Path) -> None:
    result = onnxprune.prune(MODEL, ratio=0.4, verify=False)
    onnxprune.write_report(result.report, tmp_path / "r.HTML")
    assert (tmp_path / "r.HTML").read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(UsageError, match="no form that is known"):
        onnxprune.write_report(result.report, tmp_path / "r.pdf")
    with pytest.raises(OutputError):
        onnxprune.write_report(result.report, tmp_path / "nowhere" / "r.html")
    assert [path.name for path in tmp_path.iterdir()] == ["r.HTML"]
