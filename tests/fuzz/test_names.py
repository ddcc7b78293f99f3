"""Names in a model that a terminal, a browser or a reader would act on: no output holds a byte of them as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper
from small_networks import network

HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\x00\x08\x9b31m\u202egpj.\u200b\u2066<script>alert(1)</script>|`x`](javascript:x)&#27;"
"""Escapes of both kinds, bell, carriage return, NUL, backspace, C1, bidi, zero width; HTML and Markdown."""
FILE = "mo\x1b[2J\u202edel.onnx"

RUNS = {
    "prune": ("--ratio", "0.4", "-o", "out.onnx"),
    "prune, all reports": (
        "--ratio",
        "0.4",
        "-v",
        "--report",
        "r.json",
        "--report",
        "r.md",
        "--report",
        "r.html",
    ),
    "prune as JSON": ("--ratio", "0.4", "--json"),
    "prune, dry": ("--ratio", "0.4", "--dry-run", "--strict"),
    "inspect": ("inspect",),
    "inspect as JSON": ("inspect", "--json"),
    "inspect at a ratio": ("inspect", "--ratio", "0.4"),
    "bench": ("bench", "--profile", "--seconds", "0.02"),
    "quantize": ("quantize", "--to", "fp16", "-o", "half.onnx"),
    "evaluate": ("evaluate", "--data", "x.npz"),
    "sensitivity": ("sensitivity", "--data", "x.npz", "--ratios", "0.5"),
    "a glob without a match": ("--ratio", "0.4", "--exclude", f"none{HOSTILE}"[:40].replace("\0", "")),
}


def hostile_model() -> ModelProto:
    """A network all of whose names are hostile."""
    model = network()
    graph = model.graph
    for node in graph.node:
        node.name += HOSTILE
        for listed in (node.input, node.output):
            listed[:] = [name + HOSTILE for name in listed]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name += HOSTILE
    graph.input[0].type.tensor_type.shape.dim[0].dim_param = HOSTILE
    for place in (graph, model):
        place.doc_string = HOSTILE
    graph.name = model.producer_name = model.producer_version = model.domain = HOSTILE
    helper.set_model_props(model, {HOSTILE: HOSTILE, "preprocessing": HOSTILE})
    return model


@pytest.mark.parametrize("name", RUNS)
def test_names_are_escaped_wherever_they_are_shown(name: str, tmp_path: Path, prepared: None) -> None:
    from fuzzing import processes

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / FILE).write_bytes(hostile_model().SerializeToString())
    labels = np.arange(8) % 10
    np.savez(
        folder / "x.npz", x=np.random.default_rng(0).integers(0, 255, (8, 3, 8, 8)).astype(np.uint8), y=labels
    )
    given = RUNS[name]
    words = (FILE, *given) if given[0].startswith("-") else (given[0], FILE, *given[1:])
    ended = processes.run(words, folder)
    assert ended.code in ((2,) if "glob" in name else (0, 1)), ended.stderr.decode()[-2000:]
    texts = {"stdout": ended.stdout, "stderr": ended.stderr}
    texts |= {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".json", ".md", ".html")
    }
    for where, data in texts.items():
        lines = data.decode("utf-8").split("\n")
        assert all(line.isprintable() for line in lines), (
            where,
            [ln for ln in lines if not ln.isprintable()][:3],
        )
        assert "<script>alert(1)" not in data.decode() or where.endswith((".json", "out", "err", ".md")), (
            where
        )
    if "json" in name.lower():
        json.loads(ended.stdout)


def test_markdown_shows_markup_as_text(tmp_path: Path, prepared: None) -> None:
    from fuzzing import processes

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "m.onnx").write_bytes(hostile_model().SerializeToString())
    assert processes.run(("m.onnx", "--ratio", "0.4", "--report", "r.md"), folder).code == 0
    text = (folder / "r.md").read_text(encoding="utf-8")
    for line in text.splitlines():
        bare = line.split("`")[::2]  # what lies between backticks is shown as it is
        assert not any("<script" in part.replace("\\<", "") for part in bare), line
        assert not any("](javascript" in part.replace("\\]", "") for part in bare), line
