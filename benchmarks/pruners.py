"""Other pruners behind one interface: from a network and a ratio to an ONNX file and seconds.

Torch-Pruning prunes the torch module, which is exported afterwards; onnxsim prunes the ONNX file. Both rank
by the L2 norm, remove the same share of every layer, and are told to keep the classes, as this package does
by itself. Needs ``pip install "onnxprune[benchmarks]"``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from native import export_module
from torch import nn

import onnxprune
from onnxprune.calibration import ArraySamples


@dataclass(frozen=True)
class Task:
    """What is to be pruned.

    Attributes:
        path: the ONNX file.
        module: builds the same network for torch; None where there is no source.
        shape: of an input without its batch.
        ratio: share of the filters that goes.
        samples: unlabelled training images, None for none.
    """

    path: Path
    module: Callable[[], nn.Module] | None
    shape: tuple[int, ...]
    ratio: float
    samples: ArraySamples | None = None


def ours(task: Task, output: Path) -> dict[str, float]:
    """L2 norm, nothing else."""
    return _timed(
        lambda: onnxprune.prune(
            str(task.path),
            ratio=task.ratio,
            criterion="l2",
            align="off",
            repair="none",
            threads=1,
            output=output,
        )
    )


def ours_aligned(task: Task, output: Path) -> dict[str, float]:
    """The same with counts that are multiples of 16."""
    return _timed(
        lambda: onnxprune.prune(
            str(task.path),
            ratio=task.ratio,
            criterion="l2",
            align=16,
            repair="none",
            threads=1,
            output=output,
        )
    )


def ours_with_data(task: Task, output: Path) -> dict[str, float]:
    """What the command line does by itself when it is given data without labels."""
    assert task.samples is not None
    return _timed(
        lambda: onnxprune.prune(
            str(task.path),
            ratio=task.ratio,
            align="off",
            data=task.samples,
            holdout=0,
            threads=1,
            output=output,
        )
    )


def torch_pruning(task: Task, output: Path) -> dict[str, float]:
    """MagnitudePruner; seconds of the pruning and of the export apart.

    Raises:
        Exception: whatever the package raises on networks that it cannot prune.
    """
    if task.module is None:
        raise RuntimeError("there is no torch module")
    module = task.module()
    seconds = _timed(lambda: prune_module(module, task.shape, task.ratio))
    exported = _timed(lambda: export_module(module, output, task.shape))
    return {**seconds, "export_seconds": exported["seconds"]}


def onnxsim(task: Task, output: Path) -> dict[str, float]:
    """``apply_structured_pruning``.

    Raises:
        Exception: whatever the package raises on files that it cannot prune.
    """
    from onnxsim import apply_structured_pruning

    def run() -> None:
        pruned = apply_structured_pruning(
            onnx.load(str(task.path)), sparsity=task.ratio, importance_norm="l2"
        )
        onnx.save(pruned, str(output))

    return _timed(run)


def prune_module(
    module: nn.Module,
    shape: tuple[int, ...],
    ratio: float,
    *,
    steps: int = 1,
    classes: tuple[int, ...] = (10, 1000),
) -> Any:
    """Prune a torch module in place with Torch-Pruning; with several steps only the first is done.

    Returns:
        The pruner, whose ``step`` does the next one.
    """
    import torch_pruning as tp

    heads = [
        part
        for part in module.modules()
        if getattr(part, "out_features", getattr(part, "out_channels", None)) in classes
    ]
    pruner = tp.pruner.MagnitudePruner(
        module,
        torch.zeros(2, *shape),
        importance=tp.importance.MagnitudeImportance(p=2),
        pruning_ratio=ratio,
        iterative_steps=steps,
        ignored_layers=heads,
    )
    pruner.step()
    return pruner


PRUNERS: Mapping[str, Callable[[Task, Path], dict[str, float]]] = {
    "onnxprune": ours,
    "onnxprune, data": ours_with_data,
    "onnxprune, aligned": ours_aligned,
    "Torch-Pruning": torch_pruning,
    "onnxsim": onnxsim,
}


def _timed(run: Callable[[], object]) -> dict[str, float]:
    start = time.perf_counter()
    run()
    return {"seconds": time.perf_counter() - start}
