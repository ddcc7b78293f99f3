"""Places that cannot be written, and files that must not be."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import onnxprune
from small_networks import files, network, save

from onnxprune.cli import main

FAST = ("model.onnx", "--no-verify", "--ratio", "0.5")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save(tmp_path, network())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if mount is None or os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(folder: Path, little_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (little_disk / "ballast").write_bytes(bytes(44_000))
    (little_disk / "out.onnx").write_bytes(b"earlier")
    for more in (
        (),
        ("--report", str(little_disk / "r.html")),
        ("-o", "here.onnx", "--report", "disk/r.html"),
    ):
        assert main([*FAST, "-o", "disk/out.onnx", *more]) == 2
        assert "No space left" in capsys.readouterr().err
    assert (little_disk / "out.onnx").read_bytes() == b"earlier"
    assert files(little_disk) == {"ballast", "out.onnx"}
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "disk"}


def test_a_full_disk_for_the_cache(
    folder: Path, little_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (little_disk / "ballast").write_bytes(bytes(64_000))
    np.savez(folder / "x.npz", x=np.random.default_rng(1).standard_normal((20, 3, 8, 8)).astype(np.float32))
    given = ("sensitivity", "model.onnx", "--data", "x.npz", "--ratios", "0.5", "--cache", "disk")
    assert main(given) == 2
    said = capsys.readouterr().err
    assert "No space left" in said
    assert "--cache off" in said
    assert files(little_disk) == {"ballast"}


def test_an_earlier_output_that_is_read_only_is_replaced(folder: Path) -> None:
    """As any file is that is put in place whole: what counts are the rights of the folder."""
    (folder / "out.onnx").write_bytes(b"earlier")
    (folder / "out.onnx").chmod(0o444)
    assert main([*FAST, "-o", "out.onnx"]) == 0
    onnx.checker.check_model(str(folder / "out.onnx"))


def test_a_folder_that_another_user_owns(folder: Path) -> None:
    """As somebody who is not root, for whom there are no closed folders."""
    closed = folder / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() == 0:
        pytest.skip("this user may write everywhere")
    done = onnxprune(*FAST, "-o", "closed/out.onnx", cwd=folder)
    assert done.returncode == 2
    assert "cannot be written to" in done.stderr


def test_samples_are_never_the_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("x.npz", x=np.random.default_rng(1).standard_normal((20, 3, 8, 8)).astype(np.float32))
    os.link("x.npz", "hard.npz")
    Path("soft.npz").symlink_to("x.npz")
    before = Path("x.npz").read_bytes()
    for name in ("x.npz", "hard.npz", "soft.npz", "./x.npz"):
        assert main([*FAST, "--data", "x.npz", "-o", name]) == 2
        assert "is read by this run" in capsys.readouterr().err
        assert main(["quantize", "model.onnx", "--data", "x.npz", "-o", name]) == 2
        assert "is read by this run" in capsys.readouterr().err
    assert Path("x.npz").read_bytes() == before
