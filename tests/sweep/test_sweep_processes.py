"""Who works at a trial, and what processes share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("optuna")

from onnxprune.errors import OutputError
from onnxprune.sweep.process import Watch, beating, here, is_gone, myself
from onnxprune.sweep.shelf import Shelf
from onnxprune.sweep.study import open_study, optuna


def test_a_process_is_gone_once_it_has_ended() -> None:
    code = "from onnxprune.sweep.process import myself; print(myself())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert is_gone(done.stdout.strip())
    assert not is_gone(myself())
    assert is_gone(myself() + "0")  # another process has got its number
    assert not is_gone("elsewhere|1|1")
    assert not is_gone(f"{here()}|no number|")


def test_who_gives_no_sign_for_too_long_is_lost() -> None:
    now = [0.0]
    watch = Watch(patience=60, clock=lambda: now[0])
    assert not watch.lost(3, 0)
    now[0] = 50
    assert not watch.lost(3, 1)
    now[0] = 100
    assert not watch.lost(3, 1)
    assert not watch.lost(4, 1)
    now[0] = 111
    assert watch.lost(3, 1)


def test_signs_of_life_end_with_the_work() -> None:
    signs: list[int] = []
    with beating(signs.append, seconds=0.001):
        while len(signs) < 3:
            pass
    assert signs == list(range(1, len(signs) + 1))


def test_a_step_is_made_once(tmp_path: Path) -> None:
    made = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"value": 7}

    shelf = Shelf(tmp_path / "a", {"model": "m"})
    assert shelf.data("plan", "x", make) == shelf.data("plan", "x", make) == {"value": 7}
    assert len(made) == 1
    shelf.data("plan", "y", make)
    Shelf(tmp_path / "a", {"model": "other"}).data("plan", "x", make)
    assert len(made) == 3
    shelf.forget("plan", "x")
    shelf.data("plan", "x", make)
    assert len(made) == 4


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def make() -> dict[str, int]:
        raise ZeroDivisionError

    shelf = Shelf(tmp_path, {})
    with pytest.raises(ZeroDivisionError):
        shelf.data("plan", "x", make)
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]


def test_half_a_line_of_a_journal_is_taken_away(tmp_path: Path) -> None:
    study = open_study(None, tmp_path, "s", ["minimize"])
    study.add_trial(__import__("optuna").trial.create_trial(values=[1.0]))
    with (tmp_path / "study.log").open("a") as file:
        file.write('{"op_code": 5, "wor')
    again = open_study(None, tmp_path, "s", ["minimize"])
    assert len(again.trials) == 1
    again.enqueue_trial({})
    assert len(open_study(None, tmp_path, "s", ["minimize"]).trials) == 2


DIES_WITH_THE_LOCK = """
import os, pathlib
from onnxprune.sweep.study import open_study
study = open_study(None, pathlib.Path("out"), "own", ["minimize"])
study._storage._backend._lock.acquire()
os._exit(9)
"""


@pytest.mark.slow
def test_the_lock_of_a_process_that_was_killed_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute later, whether the folder was named from where the process was or in full."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    died = subprocess.run([sys.executable, "-c", DIES_WITH_THE_LOCK], check=False)
    assert died.returncode == 9
    assert Path("out/study.log.lock").is_symlink()
    study = open_study(None, Path("out"), "own", ["minimize"])
    study.add_trial(optuna().trial.create_trial(value=1.0))
    assert len(study.get_trials()) == 1
    assert not Path("out/study.log.lock").is_symlink()


def test_the_lock_of_a_journal_leads_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Optuna finds out of date by following it."""
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    lock = open_study(None, Path("out"), "own", ["minimize"])._storage._backend._lock
    lock.acquire()
    try:
        assert Path("out/study.log.lock").samefile("out/study.log")
    finally:
        lock.release()


def test_a_storage_that_is_out_of_reach(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be kept"):
        open_study("nosuch://database", tmp_path, "s", ["minimize"])
