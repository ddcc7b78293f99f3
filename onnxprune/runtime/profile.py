"""Where the time goes: ONNX Runtime's own profile, by node and by operator."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxprune.coupling.groups import Floats
from onnxprune.model.constants import Array
from onnxprune.runtime.sessions import Session

WARM_UP = 2
"""Runs at the start of a profile that do not count."""
_KERNEL = "_kernel_time"

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """A node of the optimised graph as the profile saw it.

    Attributes:
        name: as ONNX Runtime calls it; fused nodes are called after one of their parts.
        op: operator, after fusion.
        provider: execution provider that ran it.
        seconds: (runs,) in each run.
        inputs: shapes of its inputs.
        outputs: shapes of its outputs.
    """

    name: str
    op: str
    provider: str
    seconds: Floats
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


@dataclass(frozen=True, eq=False)
class Profile:
    """A recording.

    Attributes:
        nodes: in the order in which they ran first; one a name.
        whole: (runs,) seconds of whole runs, recording included.
    """

    nodes: tuple[Node, ...]
    whole: Floats

    def to_dict(self) -> dict[str, Any]:
        """Medians in milliseconds, by operator and by node, the slowest first."""
        own = [(node, float(np.median(node.seconds))) for node in self.nodes]
        total = sum(seconds for _, seconds in own)
        operators: dict[str, list[float]] = defaultdict(list)
        for node, seconds in own:
            operators[node.op].append(seconds)
        ranked = sorted(operators.items(), key=lambda item: -sum(item[1]))
        return {
            "runs": len(self.whole),
            "nodes_ms": _ms(total),
            "whole_ms": _ms(float(np.median(self.whole))),
            "operators": [
                {"op": op, "nodes": len(held), "ms": _ms(sum(held)), "share": _share(sum(held), total)}
                for op, held in ranked
            ],
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op,
                    "provider": node.provider.removesuffix("ExecutionProvider"),
                    "inputs": [list(shape) for shape in node.inputs],
                    "ms": _ms(seconds),
                    "share": _share(seconds, total),
                }
                for node, seconds in sorted(own, key=lambda pair: -pair[1])
            ],
        }


def record(
    model: Path | bytes,
    feed: Mapping[str, Array],
    *,
    runs: int,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
) -> Profile:
    """Profile a model.

    Args:
        model: path of a file, or the bytes of one.
        feed: input name -> array.
        runs: that count.
        threads: of ONNX Runtime.
        provider: full name of the execution provider.

    Raises:
        Refusal: ONNX Runtime does not load or run it.
    """
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "profile"
        session = Session(model, threads=threads, provider=provider, profile=prefix)
        try:
            for _ in range(WARM_UP + runs):
                session.run(feed)
        finally:
            path = session.end_profile()
        events = json.loads(path.read_text(encoding="utf-8"))
    return _read(events)


def _read(events: list[dict[str, Any]]) -> Profile:
    """The profile in the events of a recording; a run ends with the event that spans it."""
    whole: list[float] = []
    first: dict[str, dict[str, Any]] = {}
    times: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for event in events:
        if event.get("name") == "model_run":
            whole.append(event["dur"] * 1e-6)
        elif event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            name = event["name"].removesuffix(_KERNEL)
            first.setdefault(name, event["args"])
            times[name][len(whole)] += event["dur"] * 1e-6
    counted = range(min(WARM_UP, max(0, len(whole) - 1)), len(whole))
    nodes = [
        Node(
            name=name,
            op=str(facts.get("op_name", "")),
            provider=str(facts.get("provider", "")),
            seconds=np.array([times[name].get(run, 0.0) for run in counted]),
            inputs=tuple(_shapes(facts.get("input_type_shape"))),
            outputs=tuple(_shapes(facts.get("output_type_shape"))),
        )
        for name, facts in first.items()
    ]
    return Profile(tuple(nodes), np.array([whole[run] for run in counted]))


def _shapes(listed: Any) -> Iterator[Shape]:
    """From ``[{"float": [1, 3, 8, 8]}, ...]``."""
    for entry in listed or ():
        for dims in entry.values():
            yield tuple(int(dim) for dim in dims)


def _ms(seconds: float) -> float:
    return float(f"{1e3 * seconds:.5g}")


def _share(part: float, total: float) -> float:
    return round(part / total, 4) if total else 0.0
