"""Several runs that write to the same place at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
from command import environment
from small_networks import files, network

from onnxprune.errors import OutputError
from onnxprune.model import load_model, save_model
from onnxprune.model.files import alone, replacing, write_whole

WRITERS, ROUNDS = 4, 25


def test_one_of_two_results_never_a_mix(tmp_path: Path) -> None:
    """Processes of different options, one output with external data and one report each."""
    onnx.save(network(), tmp_path / "model.onnx", save_as_external_data=True, location="model.bin")
    line = [
        sys.executable,
        "-m",
        "onnxprune",
        "model.onnx",
        "--no-verify",
        "--align",
        "off",
        "-o",
        "out.onnx",
    ]
    ratios = ("0.3", "0.5", "0.7")
    started = [
        subprocess.Popen(
            [*line, "--ratio", ratio, "--report", "r.json"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for ratio in ratios
    ]
    said = [process.communicate()[1] for process in started]
    for process, text in zip(started, said, strict=True):
        assert process.returncode == 0 or "replaced by another run" in text, text
    assert any(process.returncode == 0 for process in started)
    assert files(tmp_path) == {"model.onnx", "model.bin", "out.onnx", "out.onnx.data", "r.json"}
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["output"]["sha256"] == sha256((tmp_path / "out.onnx").read_bytes()).hexdigest()
    alone_run = [*line[:-1], "again.onnx", "--ratio", report["command"].split()[-3]]
    subprocess.run(alone_run, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, check=True)
    assert (tmp_path / "again.onnx.data").read_bytes() == (tmp_path / "out.onnx.data").read_bytes()


def test_files_that_belong_together_change_together(tmp_path: Path) -> None:
    """Threads that write pairs, and one that looks: a pair that is there while nobody writes is a pair."""
    pair = (tmp_path / "out.data", tmp_path / "out")
    seen, stop = set(), threading.Event()

    def write(own: int) -> None:
        for _ in range(ROUNDS):
            with replacing(*pair) as targets:
                for target in targets:
                    target.write(b"%d" % own)

    def look() -> None:
        while not stop.is_set():
            with alone(tmp_path):
                if pair[1].exists():
                    seen.add((pair[0].read_bytes(), pair[1].read_bytes()))

    watcher = threading.Thread(target=look)
    writers = [threading.Thread(target=write, args=(own,)) for own in range(WRITERS)]
    for thread in (watcher, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    watcher.join()
    assert seen
    assert all(first == second for first, second in seen)
    assert files(tmp_path) == {"out", "out.data"}


def test_leftovers_go_and_files_in_the_making_stay(tmp_path: Path) -> None:
    left = tmp_path / ".out.0123456789ab.tmp"
    left.write_bytes(b"left by a kill")
    others = {".out.tmp", ".other.0123456789ab.tmp", ".out.0123456789ag.tmp"}
    for name in others:
        (tmp_path / name).write_bytes(b"not ours")
    os.mkfifo(tmp_path / ".out.aaaaaaaaaaaa.tmp")
    with replacing(tmp_path / "out") as (file,):
        assert not left.exists()
        file.write(b"first")
        write_whole(tmp_path / "out", b"second")
        assert (tmp_path / "out").read_bytes() == b"second"
    assert (tmp_path / "out").read_bytes() == b"first"
    assert files(tmp_path) == {"out", ".out.aaaaaaaaaaaa.tmp", *others}


@pytest.mark.parametrize("earlier", [False, True])
def test_all_or_none(tmp_path: Path, earlier: bool) -> None:
    """The last name is taken by a folder, which shows when all but it are in place."""
    pair = (tmp_path / "out.data", tmp_path / "out")
    if earlier:
        pair[0].write_bytes(b"earlier")
    pair[1].mkdir()
    with pytest.raises(OSError), replacing(*pair) as targets:  # noqa: PT012
        for target in targets:
            target.write(b"new")
    assert (pair[0].read_bytes() == b"earlier") if earlier else not pair[0].exists()
    assert {path.name for path in tmp_path.iterdir()} == {"out", *(["out.data"] if earlier else [])}


def test_a_model_and_its_data_are_replaced_as_one(tmp_path: Path) -> None:
    source = load_model(network())
    path = tmp_path / "out.onnx"
    save_model(source, path, largest_single_file=1000)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    (tmp_path / "out.onnx.data").unlink()
    (tmp_path / "out.onnx.data").mkdir()
    with pytest.raises(OutputError):
        save_model(source, path, largest_single_file=1000)
    assert path.read_bytes() == before["out.onnx"]
