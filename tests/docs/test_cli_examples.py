"""The command lines that the pages show are run, as they are, in a folder that holds what they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnxprune.cli.app import run

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = re.compile(r"^(?:    )?onnxprune ([^\[\n]*)$", re.MULTILINE)
PAGES = (
    *sorted((DOCS / "criteria").glob("*.md")),
    *(DOCS / f"{name}.md" for name in ("sensitivity", "data")),
)

LOADING = """
import numpy as np

def batches():
    for seed in range(2):
        yield np.random.default_rng(seed).standard_normal((8, 3, 16, 16)).astype(np.float32)
"""


def _network() -> onnx.ModelProto:
    """Two convolutions, each with a normalisation, and a head of two classes; any size of image."""
    body = """
        a = Conv<pads=[1,1,1,1], strides=[4,4]>(x, w1) b = BatchNormalization(a, s1, o1, m1, v1) c = Relu(b)
        d = Conv<pads=[1,1,1,1], strides=[2,2]>(c, w2) e = BatchNormalization(d, s2, o2, m2, v2) f = Relu(e)
        g = GlobalAveragePool(f) h = Flatten(g) y = Gemm(h, w3, o3)"""
    head = '<ir_version: 8, opset_import: ["" : 17]> g (float[n,3,height,width] x) => (float[n,2] y)'
    model = parser.parse_model(f"{head} {{ {body} }}")
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "w1": (32, 3, 3, 3),
        "w2": (32, 32, 3, 3),
        "w3": (32, 2),
        "o3": (2,),
    }
    shapes |= {f"{name}{k}": (32,) for name in "somv" for k in (1, 2)}
    for name, shape in shapes.items():
        value = rng.standard_normal(shape).astype(np.float32) / max(1, int(np.prod(shape[1:]))) ** 0.5
        value = abs(value) + np.float32(0.1) if name[0] in "sv" else value
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model


def _arrays(folder: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((48, 3, 16, 16)).astype(np.float32), rng.integers(0, 2, 48)
    for name in ("images", "val"):
        np.savez(folder / f"{name}.npz", x=images, y=labels)


def _pictures(folder: Path) -> None:
    """Bytes as cameras give them, in a file and in class folders, and a function that makes batches."""
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 24, 24, 3), np.uint8)
    np.savez(folder / "images.npz", images=pixels)
    for k, picture in enumerate(pixels):
        place = folder / "photos" / "train" / ("cat" if k % 2 else "dog")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{k}.png")
    (folder / "mypackage").mkdir()
    (folder / "mypackage" / "__init__.py").touch()
    (folder / "mypackage" / "loading.py").write_text(LOADING)


MAKERS: dict[str, Callable[[Path], None]] = {"data": _pictures}


def commands_of(page: Path) -> list[str]:
    return [found.strip() for found in COMMAND.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_command_lines_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "--plot" in page.read_text(encoding="utf-8"):
        pytest.importorskip("matplotlib")
    if "torch" in page.read_text(encoding="utf-8"):
        pytest.importorskip("torch")
    onnx.save(_network(), tmp_path / "model.onnx")
    MAKERS.get(page.stem, _arrays)(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commands = commands_of(page)
    assert commands or page.stem == "README"
    for command in commands:
        assert run(shlex.split(command)) == 0, command
