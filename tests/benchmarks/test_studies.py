"""The studies of published methods: their short forms run, and their counts are those of the sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).parents[2] / "fixtures"))
import altered
import logmel
import passive
import published
import steps

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("ONNXPRUNE_SHARED", ROOT.parent / "shared"))

pytestmark = pytest.mark.frontends

SCRIPTS = {
    "cp_resnet": ("| 47,349 | 47,349 |", "| 54,706 | 54,706 |"),
    "distillation": ("'end'",),
    "li_resnet56": ("−9.3%", "−10.4%"),
    "passive": ("| 46,246 |", "| 42,056 |"),
    "peers": ("Torch-Pruning", "onnxsim"),
    "scnnb": (),
    "thresholds": ("fine-tuned",),
    "vgg16_layers": ("block5c", "fc1"),
}
"""What the short form of each prints."""


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared models and data sets are absent")
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_short_form_runs_and_writes_no_page(name: str) -> None:
    pytest.importorskip("torch_pruning")
    pytest.importorskip("onnxsim")
    pages = ROOT / "docs" / "benchmarks"
    before = {path: path.stat().st_mtime_ns for path in pages.iterdir()}
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--quick", "--shared", str(SHARED)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for said in SCRIPTS[name]:
        assert said in done.stdout
    assert {path: path.stat().st_mtime_ns for path in pages.iterdir()} == before


def count(module: object) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_networks_have_the_parameters_of_the_publications() -> None:
    assert count(published.cp_resnet()) == 131_316
    assert count(published.resnet_cifar(56)) == 853_018
    # the pruned networks of the source work keep widths that are rounded down
    assert count(published.cp_resnet((19, 38, 76))) == 47_349
    assert count(published.cp_resnet((20, 41, 83))) == 54_706


def test_counts_at_a_ratio_are_rounded_down() -> None:
    assert steps.counts_at({"a": 32, "b": 64, "c": 128, "d": 1}, 0.35) == {"a": 20, "b": 41, "c": 83, "d": 1}
    assert list(steps.counts_at({"a": 32, "b": 64, "c": 128}, 0.4).values()) == [19, 38, 76]


@pytest.mark.shared
@pytest.mark.parametrize("subset", passive.AUTHORS)
def test_the_passive_networks_have_as_many_numbers_as_the_files_of_the_authors(
    subset: tuple[str, ...],
) -> None:
    h5py = pytest.importorskip("h5py")
    path = SHARED / "models" / f"dcase2021_passive_{'C' + ''.join(name[1] for name in subset)}.h5"
    if not path.is_file():
        pytest.skip(f"{path.name} is absent")
    sizes = []
    with h5py.File(path) as file:
        file["model_weights"].visititems(
            lambda _, entry: sizes.append(entry.size) if isinstance(entry, h5py.Dataset) else None
        )
    assert sum(sizes) == passive.keras_count(passive.filters_of(subset)) == passive.AUTHORS[subset]


def scenes(folder: Path, shape: tuple[int, int] = logmel.SHAPE) -> None:
    """A data set of three recordings."""
    (folder / "features").mkdir(parents=True)
    (folder / "evaluation_setup").mkdir()
    lists = {
        "fold1_train.csv": [("audio/tram-a.wav", "tram"), ("audio/bus-b.wav", "bus")],
        "fold1_evaluate.csv": [("audio/tram-c.wav", "tram")],
    }
    for name, rows in lists.items():
        lines = ["filename\tscene_label", *("\t".join(row) for row in rows)]
        (folder / "evaluation_setup" / name).write_text("\n".join(lines) + "\n")
        for place, (file, _) in enumerate(rows):
            np.save(folder / "features" / f"{Path(file).stem}.npy", np.full(shape, place, np.float64))


def test_log_mel_features_are_read_by_the_lists_of_the_challenge(tmp_path: Path) -> None:
    scenes(tmp_path / "dcase")
    with np.load(logmel.pack(tmp_path / "dcase", tmp_path / "kept")) as arrays:
        assert arrays["x_train"].shape == (2, 40, 500)
        assert arrays["x_train"].dtype == np.float32
        assert arrays["classes"].tolist() == ["bus", "tram"]
        assert arrays["y_train"].tolist() == [1, 0]
        assert arrays["x_train"][:, 0, 0].tolist() == [0, 1]
        assert arrays["y_test"].tolist() == [1]


def test_features_of_another_shape_are_refused(tmp_path: Path) -> None:
    scenes(tmp_path / "dcase", (500, 40))
    with pytest.raises(SystemExit, match=r"tram-a.npy: the shape is \(500, 40\), not \(40, 500\)"):
        logmel.pack(tmp_path / "dcase", tmp_path / "kept")


def test_altered_images_keep_their_form_and_are_others() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    plain = altered.datasets.prepare("cifar10", pixels)
    found = altered.altered(pixels)
    assert list(found) == list(altered.VIEWS)
    for images in found.values():
        assert images.shape == plain.shape
        assert images.dtype == plain.dtype
        assert np.abs(images - plain).mean() > 0.1
    both = altered.mirroring(lambda feed: {"scores": feed["image"][..., 0]})
    assert both({"image": plain})["scores"] == pytest.approx((plain[..., 0] + plain[..., -1]) / 2)
