"""``--data``, ``--preprocess`` and ``--samples`` from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import as_json, onnxprune
from small_networks import files, network, save

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
LABELS = np.arange(40) % 10
FLOATS = IMAGES.astype(np.float32)

MODULE = """
import numpy as np

def batches():
    print("a line of the user's own")
    for start in range(4):
        yield np.full((8, 3, 8, 8), start, np.float32)

def broken():
    raise ValueError("no such disk")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    save(made, network())
    np.savez_compressed(
        made / "images.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:7], other=IMAGES[:, :5]
    )
    np.savez(made / "wrong.npz", x=np.where(IMAGES == 255, np.nan, FLOATS), y=LABELS)
    np.savez(made / "classes.npz", x=FLOATS, y=LABELS + 1)
    np.savez(made / "names.npz", a=FLOATS, b=FLOATS)
    (made / "broken.npz").write_bytes(b"hello")
    (made / "module_of_data.py").write_text(MODULE)
    (made / "prep.toml").write_text('scale = "1/255"\n')
    return made


MISTAKES = {
    "a file that is missing": (["--data", "none.npz"], "none.npz' does not exist"),
    "a file that is damaged": (["--data", "broken.npz"], "'broken.npz' cannot be read"),
    "unknown names": (["--data", "names.npz"], "names.npz:NAME,LABELS"),
    "another shape": (["--data", "images.npz:other"], "takes 3x8x8"),
    "NaN": (["--data", "wrong.npz"], "NaN"),
    "labels out of range": (["--data", "classes.npz"], "10 classes"),
    "a function that fails": (["--data", "module_of_data:broken"], "no such disk"),
    "an unknown step": (["--data", "images.npz", "--preprocess", "scal=1/255"], "'scale'"),
    "no samples": (["--data", "images.npz", "--samples", "0"], "--samples 0"),
    "steps without data": (["--preprocess", "raw"], "--preprocess"),
    "a criterion without data": (["--criterion", "mean"], "--data samples.npz"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(folder: Path, case: str) -> None:
    arguments, said = MISTAKES[case]
    before = files(folder)
    # a criterion that reads all samples, so that what is wrong with any of them shows
    measuring = () if "--criterion" in arguments or "--data" not in arguments else ("--criterion", "mean")
    done = onnxprune("model.onnx", "--ratio", "0.4", *measuring, *arguments, cwd=folder)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] in (["error"], ["error", "hint"])
    assert "bug" not in done.stderr
    assert done.stdout == ""
    assert files(folder) == before


def test_the_report_says_what_was_measured_on(folder: Path) -> None:
    given = ("--ratio", "0.4", "--criterion", "mean", "--repair", "none", "--data", "images.npz")
    first = as_json(
        "model.onnx", *given, "--preprocess", "prep.toml", "--samples", "16", "-o", "a.onnx", cwd=folder
    )
    assert first["settings"]["data"] == "images.npz"
    assert first["settings"]["preprocess"] == "prep.toml"
    assert first["settings"]["samples"] == 16
    assert not any("bytes" in text for text in first["warnings"])
    again = as_json(
        "model.onnx", *given, "--preprocess", "unit", "--samples", "16", "-o", "b.onnx", cwd=folder
    )
    assert again["cuts"] == first["cuts"]
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()
    plain = as_json("model.onnx", *given, "--dry-run", cwd=folder)
    assert plain["settings"]["samples"] == 512
    assert any("scale=1/255" in text for text in plain["warnings"])
    assert any("512 samples were asked for" in text for text in plain["warnings"])


def test_a_function_in_the_current_folder(folder: Path) -> None:
    given = ("--ratio", "0.4", "--criterion", "variance", "--data", "module_of_data:batches")
    report = as_json("model.onnx", *given, "--samples", "20", "--dry-run", cwd=folder)
    assert report["settings"]["data"] == "module_of_data:batches"


def test_inspect_measures_too(folder: Path) -> None:
    done = onnxprune(
        "inspect",
        "model.onnx",
        "--ratio",
        "0.4",
        "--criterion",
        "mean",
        "--data",
        "images.npz:x_test",
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
