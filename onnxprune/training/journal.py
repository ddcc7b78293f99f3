"""Metrics of each epoch as files: a table, and what TensorBoard reads."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from onnxprune.errors import MissingExtraError, OutputError
from onnxprune.model.naming import quoted
from onnxprune.training.result import Epoch

TABLE = "metrics.csv"
BOARD = "tensorboard"


class Journal:
    """Writes the history of a training into a run folder.

    The table is written anew after each epoch, so that it is whole whenever a run ends.

    Args:
        folder: of the run, None for no files.
        metric: name of what is validated.
        tensorboard: whether TensorBoard's files are written too.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None, metric: str, *, tensorboard: bool) -> None:
        self._folder = folder
        self._metric = metric
        self._writer: Any = None
        self._told = 0
        if tensorboard and folder is not None:
            self._writer = summary_writer()(str(folder / BOARD))

    def write(self, history: Sequence[Epoch]) -> None:
        """Write what is new.

        Raises:
            OutputError: a file cannot be written.
        """
        if self._folder is None:
            return
        try:
            unfinished = self._folder / f"{TABLE}.part"
            unfinished.write_text(self._table(history), encoding="utf-8")
            unfinished.replace(self._folder / TABLE)
        except OSError as exc:
            raise OutputError(f"{quoted(self._folder / TABLE)} cannot be written: {exc.strerror}.") from exc
        for epoch in history[self._told :] if self._writer is not None else ():
            for name, value in self._row(epoch).items():
                if name not in ("epoch", "steps") and value == value:  # not NaN
                    self._writer.add_scalar(name, value, epoch.steps)
            self._writer.flush()
        self._told = len(history)

    def close(self) -> None:
        """No more will come."""
        if self._writer is not None:
            self._writer.close()

    def _table(self, history: Sequence[Epoch]) -> str:
        text = StringIO()
        rows = [self._row(epoch) for epoch in history]
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _row(self, epoch: Epoch) -> dict[str, Any]:
        row = epoch.to_dict()
        return {
            "epoch": row.pop("number"),
            "steps": row.pop("steps"),
            "lr": row.pop("lr"),
            "loss": row.pop("loss"),
            self._metric: row.pop("metric"),
            **row,
        }


def summary_writer() -> Any:
    """The class that writes for TensorBoard.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as exc:
        raise MissingExtraError(
            "--tensorboard needs tensorboard, which is not installed.",
            hint='pip install "onnxprune[tensorboard]"',
        ) from exc
    return SummaryWriter
