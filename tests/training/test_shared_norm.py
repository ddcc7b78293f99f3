"""Batch normalisation over two processes, beside one that sees the whole batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.frontends

CHANNELS, COUNTS = 7, (5, 7)
"""Channels, and samples of each process."""

CASES: dict[str, tuple[str, tuple[int, ...], bool]] = {
    "channels last": ("float32", (5, 6), True),
    "image": ("float32", (5, 6), False),
    "vector": ("float32", (), False),
    "double": ("float64", (5,), False),
    "half": ("bfloat16", (5, 6), True),
}
"""Type of the values, axes behind the channels, and whether they lie in memory before them."""

NEAR = {"float32": 1e-5, "float64": 1e-10, "bfloat16": 2e-2}


def work(rank: int, folder: Path) -> None:
    """Write how far the part of one process is from the whole, in every case."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    meeting = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=len(COUNTS))
    found = {name: errors(rank, *case) for name, case in CASES.items()}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def errors(rank: int, dtype: str, inner: tuple[int, ...], last: bool) -> dict[str, float]:
    """Largest differences, relative to the largest value, of what two processes and one compute."""
    import torch
    from torch import distributed

    from onnxprune.torch_graph.module import BatchNorm
    from onnxprune.training.shared_norm import SharedBatchNorm

    kind = getattr(torch, dtype)
    shape = (sum(COUNTS), CHANNELS, *inner)
    random = torch.Generator().manual_seed(0)
    x, wanted = (torch.randn(shape, generator=random, dtype=torch.float64) for _ in range(2))
    x = (3 * x + 2).to(kind)
    x = (x.to(memory_format=torch.channels_last) if last else x).requires_grad_()
    of_parameters = torch.promote_types(kind, torch.float32)
    whole, shared = (made(CHANNELS, dtype=of_parameters) for made in (BatchNorm, SharedBatchNorm))
    for norm in (whole, shared):
        norm.weight.data.copy_(torch.linspace(0.5, 2, CHANNELS))
        norm.bias.data.copy_(torch.linspace(-1, 2, CHANNELS))
    part = slice(0, COUNTS[0]) if rank == 0 else slice(COUNTS[0], None)
    own = x.detach()[part].clone().requires_grad_()
    expected, found = whole(x), shared(own)
    (expected.double() - wanted).square().sum().backward()
    (found.double() - wanted[part]).square().sum().backward()
    for parameter in shared.parameters():
        distributed.all_reduce(parameter.grad)
    pairs: dict[str, tuple[Any, Any]] = {
        "values": (found, expected[part]),
        "gradient": (own.grad, x.grad[part]),
        "of the weight": (shared.weight.grad, whole.weight.grad),
        "of the bias": (shared.bias.grad, whole.bias.grad),
        "mean": (shared.running_mean, whole.running_mean),
        "variance": (shared.running_var, whole.running_var),
        "evaluated": (shared.eval()(own), whole.eval()(x)[part]),
    }
    return {
        name: float((mine - theirs).detach().double().abs().max() / theirs.detach().double().abs().max())
        for name, (mine, theirs) in pairs.items()
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, float]]]:
    """What the processes have written."""
    from torch import multiprocessing

    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(work, (folder,), len(COUNTS))
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(len(COUNTS))]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_normalise_as_one(name: str, found: list[dict[str, dict[str, float]]]) -> None:
    near = NEAR[CASES[name][0]]
    for process in found:
        assert len(process[name]) == 7
        assert {what: error for what, error in process[name].items() if not error < near} == {}
