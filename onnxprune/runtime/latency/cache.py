"""Layer times of earlier runs, in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxprune.model import Model
from onnxprune.model.detach import is_constant
from onnxprune.model.files import write_whole
from onnxprune.model.model import BULK_BYTES
from onnxprune.runtime.feeds import Feed
from onnxprune.runtime.machine import machine

_KEYS = {"designs", "error", "pace", "rest", "nodes"}


@dataclass(frozen=True)
class Store:
    """The place of one table.

    Attributes:
        path: of its file.
    """

    path: Path

    def load(self) -> dict[str, Any] | None:
        """The table, None where there is none that can be read."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and found.keys() >= _KEYS else None

    def save(self, table: Mapping[str, Any]) -> None:
        """Keep a table; where that cannot be done it is measured again next time."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(table).encode())


def store_for(folder: Path, model: Model, feed: Feed, *, grid: int, threads: int) -> Store:
    """Where the times of a model are kept.

    They depend on the graph, not on the values of weights: the same network with other weights finds
    them. Another processor, another version of ONNX Runtime, other inputs or threads have their own.

    Args:
        folder: of all tables.
        model: its graph is part of the key.
        feed: its shapes are.
        grid: of channels.
        threads: of ONNX Runtime.
    """
    from onnxprune import __version__

    here = machine()
    shapes = {name: list(value.shape) for name, value in feed.items()}
    host = [here.processor, here.isa, here.cores, here.onnxruntime]
    facts = [__version__, *host, grid, threads, shapes]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for part in _architecture(model):
        digest.update(part)
    return Store(folder / f"layers-{digest.hexdigest()[:32]}.json")


def _architecture(model: Model) -> Iterator[bytes]:
    """The graph without what its weights hold."""
    for node in model.proto.graph.node:
        if not is_constant(node):
            yield node.SerializeToString(deterministic=True)
    for constant in model.constants.values():
        yield repr((constant.name, constant.shape, constant.data_type)).encode()
        if not constant.is_float and constant.size * constant.itemsize <= BULK_BYTES and constant.can_be_cut:
            yield constant.values().tobytes()
