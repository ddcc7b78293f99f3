"""Inside another program: nothing is configured, nothing is kept, and threads do not meet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from command import environment
from small_networks import files, network, save

import onnxprune

IMAGES = np.random.default_rng(1).standard_normal((60, 3, 8, 8)).astype(np.float32)

IMPORT = """
import logging, os, signal, sys, threading, warnings
def state():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    loggers = {name: logger.level for name, logger in logging.root.manager.loggerDict.items()
               if isinstance(logger, logging.Logger)}
    return (dict(os.environ), os.getcwd(), list(warnings.filters), logging.root.level, logging.root.handlers[:],
            handlers, threading.active_count(), sys.stdout, sys.stderr, sys.excepthook, loggers)
before, modules = state(), set(sys.modules)
import onnxprune
assert state() == before
heavy = {"numpy", "onnx", "onnxruntime", "torch", "tensorflow", "keras", "rich", "typer", "jinja2", "matplotlib"}
assert not heavy & {name.partition(".")[0] for name in sys.modules.keys() - modules}
"""


def test_an_import_costs_little_and_configures_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment(), capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")


def test_the_command_line_lets_onnxruntime_report_nothing(tmp_path: Path) -> None:
    """From 1.29 on it keeps a database of what it reports in the user's cache folder."""
    save(tmp_path, network())
    home = tmp_path / "home"
    home.mkdir()
    left_out = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI")  # each of which turns it off
    own = {name: value for name, value in environment().items() if name not in left_out}
    own |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    command = [sys.executable, "-m", "onnxprune", "model.onnx", "--ratio", "0.5", "--align", "off"]
    subprocess.run(command, cwd=tmp_path, env=own, check=True, capture_output=True)
    assert files(home) == set()


def _pruned(**options: object) -> Callable[[int], bytes]:
    def prune(seed: int) -> bytes:
        result = onnxprune.prune(network(seed=seed), threads=1, align="off", **options)
        return result.model.to_proto().SerializeToString(deterministic=True)

    return prune


JOBS = {
    "weights": _pruned(ratio=0.5),
    "samples": _pruned(ratio=0.5, data=IMAGES, holdout=0),
    "activations": _pruned(ratio=0.4, data=IMAGES, criterion="entropy", holdout=10),
    "random": _pruned(ratio=0.5, criterion="random", seed=3),
}


def test_runs_in_threads_give_what_they_give_alone() -> None:
    """Different models and methods at the same time; the second round, in threads, equals the first."""
    todo = [(job, seed) for job in JOBS.values() for seed in (0, 1)]
    alone = [job(seed) for job, seed in todo]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pair: pair[0](pair[1]), todo))
    assert together == alone
    assert len(set(alone)) > len(JOBS)


@pytest.mark.frontends
def test_criteria_that_go_through_torch_in_threads() -> None:
    torch = pytest.importorskip("torch")
    prune = _pruned(
        ratio=0.5, data=(IMAGES, np.arange(60) % 10), criterion="taylor", repair="none", holdout=0
    )
    before = (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_rng_state().tolist())
    alone = [prune(seed) for seed in (0, 1)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(prune, (0, 1))) == alone
    assert (torch.get_num_threads(), torch.is_grad_enabled(), torch.get_rng_state().tolist()) == before


def test_a_model_in_memory_is_not_changed() -> None:
    model = network()
    before = model.SerializeToString(deterministic=True)
    onnxprune.prune(model, ratio=0.5, data=IMAGES, holdout=0)
    assert model.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(model)
