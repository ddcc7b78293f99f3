"""Every exporter and every network: converted, equal to the source, pruned, equal to the masked source."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from matrix import AGREEMENT, IMPOSSIBLE, TOLERANCE, Cell, examine, missing
from networks import NETWORKS
from routes import EXPORTERS

pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]

SLOW = ("keras_on_torch", "torch_program", "keras_nchw")
"""Exporters of which all but one network are left to -m slow."""

UNFOLDED = "keras_nchw"
"""Files of tf2onnx alone, whose batch normalisation stays apart from the layers: two numbers a channel more."""

CELLS = [
    pytest.param(
        exporter,
        network,
        marks=[pytest.mark.slow] if exporter in SLOW and network != "squeeze_excite" else [],
    )
    for network in NETWORKS
    for exporter in EXPORTERS
]


@lru_cache
def reference(network: str) -> Cell:
    """What an exporter leaves that is there anyway."""
    exporter = "torch_script" if not missing("torch_script") else "keras"
    with TemporaryDirectory() as folder:
        return examine(exporter, network, Path(folder))


@pytest.mark.parametrize(("exporter", "network"), CELLS)
def test_every_export_prunes_as_far_as_any_other(exporter: str, network: str, tmp_path: Path):
    if missing(exporter):
        pytest.skip(f"{missing(exporter)} is not installed")
    if (exporter, network) in IMPOSSIBLE:
        pytest.skip(IMPOSSIBLE[exporter, network])
    cell, other = examine(exporter, network, tmp_path), reference(network)
    assert cell.error < TOLERANCE
    assert isinstance(cell.batch, str), "the batch is dynamic"
    assert cell.kernels[0] == pytest.approx(other.kernels[0], rel=AGREEMENT)
    assert cell.kernels[1] == pytest.approx(other.kernels[1], rel=AGREEMENT)
    if exporter != UNFOLDED:
        assert cell.parameters[1] == pytest.approx(other.parameters[1], rel=AGREEMENT)
    assert cell.macs == pytest.approx(other.macs, rel=AGREEMENT)
    assert len(cell.whole) == 1, "only the layer behind the output stays whole"
