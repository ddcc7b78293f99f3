"""Sweeps from Python: what is tried, what is kept, what is marked."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from tries import IMAGES, MODEL, labels, models, swept

pytest.importorskip("optuna")

from onnxprune import prune
from onnxprune.errors import MissingExtraError, UsageError
from onnxprune.report.sweep_cells import csv_of
from onnxprune.report.sweep_files import SWEEP_FORMS, write_sweep
from onnxprune.sweep import Sweep
from onnxprune.sweep.plot import draw


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sweep")


@pytest.fixture(scope="module")
def found(folder: Path) -> Sweep:
    return swept(folder, repairs=("none", "bias"), quantize=("none", "int8"), latency=True)


def test_a_row_for_the_source_and_each_way(found: Sweep, folder: Path) -> None:
    assert len(found.rows) == 2 + 2 * 2 * 2
    assert [row.config.title for row in found.rows[:3]] == ["source", "source · int8", "ratio 0.25 · l1"]
    assert not found.failed
    assert found.metric == "accuracy"
    assert found.rows[0].quality("accuracy") == 1.0
    assert found.rows[0].outcome["latency"]["ratio"] == 1.0
    assert models(folder) == {Path(row.outcome["model"]).name for row in found.rows[1:]}


def test_results_are_those_of_a_pruning_run(found: Sweep, folder: Path) -> None:
    row = next(row for row in found.rows if row.config.title == "ratio 0.5 · l1")
    alone = prune(MODEL, ratio=0.5, criterion="l1", repair="none", align="off")
    assert row.outcome["macs"] == alone.report.totals["macs"][1]
    assert row.outcome["params"] == alone.report.totals["params"][1]
    assert row.outcome["verification"]["passed"]
    path = folder / "out" / row.outcome["model"]
    assert path.stat().st_size == row.outcome["bytes"]
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    other = ort.InferenceSession(
        alone.model.to_proto().SerializeToString(), providers=["CPUExecutionProvider"]
    )
    ours, theirs = (own.run(None, {"image": IMAGES})[0] for own in (session, other))
    np.testing.assert_array_equal(ours, theirs)


def test_what_is_marked_is_beaten_by_none(found: Sweep) -> None:
    for cost in found.costs:
        for row in found.done:
            better = [
                other
                for other in found.done
                if (other.cost(cost), -other.quality("accuracy"))
                != (row.cost(cost), -row.quality("accuracy"))
                and other.cost(cost) <= row.cost(cost)
                and other.quality("accuracy") >= row.quality("accuracy")
            ]
            assert (cost in row.best_for) == (not better)
    assert any(row.on_front for row in found.rows)


def test_a_repeated_sweep_only_adds_what_is_missing(found: Sweep, folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "out/cache").glob("*.*")}
    more = swept(
        folder, ratios=(0.25, 0.5, 0.6), repairs=("none", "bias"), quantize=("none", "int8"), latency=True
    )
    assert len(more.rows) == len(found.rows) + 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
    kept = {row.config.key: row.outcome for row in more.rows}
    assert all(kept[row.config.key] == row.outcome for row in found.rows)


def test_a_model_that_is_gone_is_made_again(found: Sweep, folder: Path) -> None:
    path = folder / "out" / found.rows[2].outcome["model"]
    content = path.read_bytes()
    path.unlink()
    swept(folder, latency=True, ratios=(0.25,), trials=None, storage=str(folder / "other.log"))
    assert path.read_bytes() == content


def test_files_say_the_same(found: Sweep, tmp_path: Path) -> None:
    for suffix in SWEEP_FORMS:
        write_sweep(found, tmp_path / f"s{suffix}")
        assert (tmp_path / f"s{suffix}").stat().st_size > 500
    lines = csv_of(found).splitlines()
    assert len(lines) == 1 + len(found.rows)
    assert lines[1].startswith("source,source,,,,none,none,accuracy,1.0,")
    pytest.importorskip("matplotlib")
    assert draw(found, Path("p.svg")) == draw(found, Path("p.svg"))


def test_other_samples_want_another_folder(found: Sweep, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"holds a sweep with other settings: .*--seed"):
        swept(folder, seed=3)


def test_what_cannot_be_done_has_a_reason(tmp_path: Path) -> None:
    found = swept(tmp_path, ratios=(), macs=("0.5x", "0.0001x"))
    (failed,) = found.failed
    assert failed.config.amount == "0.0001x"
    assert "--macs 0.0001x" in failed.reason
    assert len(found.done) == 2
    assert not any("0.0001" in name for name in models(tmp_path))


def test_combinations_of_layers(tmp_path: Path) -> None:
    found = swept(tmp_path, ratios=(0.5,), layers=("conv1", "conv2"), quantize=("none", "fp16"))
    assert [row.config.layers for row in found.rows[2::2]] == [("conv1",), ("conv2",), ("conv1", "conv2")]
    macs = [row.outcome["macs"] for row in found.rows[2::2]]
    assert macs[2] < min(macs[:2])
    text = SWEEP_FORMS[".md"](found)
    assert "| layers | params | MACs | float32 % | size | float16 % | size |" in text
    with pytest.raises(UsageError, match="conv9"):
        swept(tmp_path, ratios=(0.5,), layers=("conv9",))


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_samplers_fill_a_study(tmp_path: Path, sampler: str) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    given = {"ratios": "0.1:0.8", "sampler": sampler, "storage": storage, "repairs": ("none", "bias")}
    found = swept(tmp_path, trials=2, **given)
    assert len(found.rows) == 1 + 2
    again = swept(tmp_path, trials=2, **given)
    assert [row.to_dict() for row in again.rows] == [row.to_dict() for row in found.rows]
    more = swept(tmp_path, trials=3, **given)
    assert len({row.config for row in more.rows}) == 1 + 3
    assert {row.config for row in found.rows} < {row.config for row in more.rows}


def test_a_sampler_that_has_tried_everything_says_so(tmp_path: Path) -> None:
    found = swept(tmp_path, trials=9, sampler="random")
    assert len(found.rows) == 1 + 2
    assert any("no more than 2 ways" in note for note in found.notes)


REFUSED = {
    "an unknown sampler": ({"sampler": "best"}, "sampler"),
    "a sampler without trials": ({"sampler": "tpe"}, "--trials"),
    "no trials": ({"trials": 0}, "--trials 0"),
    "an unknown criterion": ({"criteria": ("nosuch",)}, "nosuch"),
    "an unknown repair": ({"repairs": ("nosuch",)}, "nosuch"),
    "an unknown quantisation": ({"quantize": ("int3",)}, "int3"),
    "nothing held back": ({"holdout": 0}, "held back"),
    "two ways of saying where": ({"layers": ("conv1",), "include": "conv2"}, "--include"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused_first(tmp_path: Path, case: str) -> None:
    given, said = REFUSED[case]
    with pytest.raises(UsageError, match=said):
        swept(tmp_path, **given)
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_hint_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"onnxprune\[sweep\]"):
        swept(tmp_path)


def test_without_labels_agreement_counts(tmp_path: Path) -> None:
    from onnxprune.api.sweeping import run_sweep

    found = run_sweep(
        MODEL, IMAGES, output=tmp_path / "o", ratios=(0.5,), criteria=("l1",), latency=False, samples=40
    )
    assert found.metric == "agreement"
    assert found.rows[0].quality("agreement") == 1.0
    assert labels().shape == (80,)
