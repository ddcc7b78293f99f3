"""Checkpoints that hold code, or anything but a state."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from onnxprune.errors import UsageError  # noqa: E402
from onnxprune.training import CHECKPOINT  # noqa: E402
from onnxprune.training.checkpoint import Checkpoint  # noqa: E402


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("form", ["archive", "pickle", "damaged", "another object", "another key"])
def test_checkpoints_that_are_not_read(tmp_path: Path, form: str) -> None:
    folder, trap = tmp_path / "run", tmp_path / "sprung"
    folder.mkdir()
    path = folder / CHECKPOINT
    if form == "archive":
        torch.save({"format": 1, "key": "k", "state": _Trap(trap)}, path)
    elif form == "pickle":
        path.write_bytes(pickle.dumps(_Trap(trap)))
    elif form == "damaged":
        path.write_bytes(b"PK\x03\x04" + bytes(100))
    else:
        torch.save([1, 2] if form == "another object" else {"format": 1, "key": "other"}, path)
    with pytest.raises(UsageError, match="checkpoint"):
        Checkpoint(folder, "k").load()
    assert not trap.exists()
