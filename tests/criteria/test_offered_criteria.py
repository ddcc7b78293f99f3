"""Criteria of other packages: announced as entry points, or named as module:function."""

import pytest
from weighted import along, constants_of, group_of, structure_of

from onnxprune.calibration import Evidence
from onnxprune.calibration.statistics import MapRank, Mean
from onnxprune.criteria import criterion, known, score_groups
from onnxprune.criteria.registry import is_built_in
from onnxprune.errors import UsageError

MODULE = """
import numpy as np
from onnxprune.calibration.statistics import MapRank
from onnxprune.criteria import register


def backwards(group, weights):
    return np.arange(group.size)[::-1]


@register("offered_rank", needs=lambda samples: frozenset({MapRank(samples)}), threshold=lambda n: n / 2, samples=3)
def ranked(group, weights, *, samples):
    return weights.combined(group, [own.mean(axis=0) for own in weights.observed(group, MapRank(samples))])
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with two entry points."""
    (tmp_path / "offered_scores.py").write_text(MODULE)
    info = tmp_path / "offered_scores-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offered-scores\nVersion: 1.0\n")
    lines = [
        "backwards = offered_scores:backwards",
        "offered_rank = offered_scores:ranked",
        "lost = offered_scores:no",
    ]
    (info / "entry_points.txt").write_text("\n".join(["[onnxprune.criteria]", *lines]))
    monkeypatch.syspath_prepend(tmp_path)


def scored(spec, evidence=None):
    import numpy as np

    constants = constants_of(w=np.ones((3, 1), np.float32))
    structure = structure_of(group_of("g", 3, along("w", 0, 3)))
    return score_groups(structure, constants, criterion(spec), evidence=evidence)["g"].tolist()


def test_entry_points_are_known_by_name(package):
    assert {"backwards", "offered_rank", "l1"} <= set(known())
    assert scored("backwards") == [2.0, 1.0, 0.0]
    assert not is_built_in("backwards")
    assert is_built_in("entropy")
    with pytest.raises(UsageError, match="cannot be loaded"):
        criterion("lost")


def test_options_needs_and_thresholds_come_with_the_registration(package):
    for spec in ("offered_rank:4,samples=5", "offered_scores:ranked:4,samples=5"):
        chosen = criterion(spec)
        assert dict(chosen.options) == {"samples": 5}
        assert chosen.needs == {MapRank(5)}
        assert chosen.bound == 2.0
    assert criterion("offered_rank").needs == {MapRank(3)}
    assert not criterion("backwards").needs


def test_what_a_criterion_did_not_ask_for_is_told(package):
    import numpy as np

    given = Evidence({Mean(): lambda group: (np.zeros((4, 3)),)})
    with pytest.raises(UsageError) as caught:
        scored("offered_rank", given)
    assert "MapRank(samples=3)" in caught.value.message
    assert "needs=" in caught.value.hint
