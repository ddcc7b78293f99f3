"""The torch modules that ``onnxprune.to_torch`` makes: their speed, and which operators they compute.

    python benchmarks/torch_module.py [--models resnet18] [--sizes 32,64] [--rounds 11]

Needs torch, onnxscript and torchvision. A network of torchvision is exported in three ways and turned into a
module again;
forward passes and training steps of module and network take turns, on one thread. Then the test cases of the
installed onnx are run (``node_cases.py``). Writes ``docs/benchmarks/torch_module.md``.
"""

from __future__ import annotations

import argparse
import copy
import io
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from operator import truediv
from statistics import median

import node_cases
import onnx
import torch
from harness import table, write_page
from torchvision_shim import declare_missing_operators

import onnxprune

BATCH, CLASSES = 32, 10
Step = Callable[[], None]
Key = tuple[str, str]
"""Kind and origin of a module."""

KEPT, FOLDED = "BN kept", "BN folded"

REASONS = {
    "test_training_dropout": "drops what the random numbers of NumPy say",
    "test_resize_downsample_scales": "ONNX Runtime computes what the module computes",
}
"""Why cases differ, by the beginning of their names."""


def network(name: str) -> torch.nn.Module:
    """A network of torchvision that has seen a few batches: its running statistics are not trivial."""
    declare_missing_operators()
    import torchvision

    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(num_classes=CLASSES).train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(8, 3, 64, 64))
    return net.eval()


def folded(net: torch.nn.Module) -> torch.nn.Module:
    """The network with its batch normalisations folded into the convolutions."""
    from torch.fx.experimental.optimization import fuse

    return fuse(copy.deepcopy(net))


def torch_script(net: torch.nn.Module, x: torch.Tensor, *, fold: bool) -> bytes:
    """Exported by TorchScript."""
    buffer = io.BytesIO()
    mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        net, (x,), buffer, dynamo=False, opset_version=17, training=mode, do_constant_folding=fold,
        input_names=["image"], dynamic_axes={"image": {0: "batch"}},
    )  # fmt: skip
    return buffer.getvalue()


def dynamo(net: torch.nn.Module, x: torch.Tensor) -> onnx.ModelProto:
    """Exported by dynamo."""
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(net, (x,), dynamo=True, dynamic_shapes=shapes, verbose=False)
    return program.model_proto


def rivals(net: torch.nn.Module, x: torch.Tensor) -> dict[Key, torch.nn.Module]:
    """Modules to compare, by kind and origin; the native one of each kind comes first."""
    return {
        (KEPT, "native"): net,
        (KEPT, "TorchScript"): onnxprune.to_torch(torch_script(net, x, fold=False)),
        (FOLDED, "native"): folded(net),
        (FOLDED, "TorchScript"): onnxprune.to_torch(torch_script(net, x, fold=True)),
        (FOLDED, "dynamo"): onnxprune.to_torch(dynamo(net, x)),
    }


def forward(module: torch.nn.Module, x: torch.Tensor) -> Step:
    """One pass in evaluation mode."""

    def step() -> None:
        module.eval()
        with torch.no_grad():
            module(x)

    return step


def training(module: torch.nn.Module, x: torch.Tensor) -> Step:
    """One step of SGD."""
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-6)
    classes = torch.arange(len(x)) % CLASSES

    def step() -> None:
        module.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x), classes).backward()
        optimizer.step()

    return step


def in_turns(steps: Mapping[Key, Step], rounds: int) -> dict[Key, tuple[float, float]]:
    """Median seconds of each, and the median relative to the native one of the same round."""
    seconds: dict[Key, list[float]] = defaultdict(list)
    for step in steps.values():
        step()
    for _ in range(rounds):
        for key, step in steps.items():
            begin = time.perf_counter()
            step()
            seconds[key].append(time.perf_counter() - begin)
    relative = {key: map(truediv, own, seconds[key[0], "native"]) for key, own in seconds.items()}
    return {key: (median(own), median(relative[key])) for key, own in seconds.items()}


def rows_of(name: str, size: int, rounds: int) -> Iterator[list[str]]:
    """The rows of one network at one image size."""
    net, x = network(name), torch.randn(BATCH, 3, size, size)
    modules = rivals(net, x)
    for layout in (torch.contiguous_format, torch.channels_last):
        x = x.to(memory_format=layout)
        for module in modules.values():
            module.to(memory_format=layout)
        passes = in_turns({key: forward(module, x) for key, module in modules.items()}, rounds)
        steps = in_turns({key: training(module, x) for key, module in modules.items()}, rounds)
        for kind, origin in modules:
            cells = [f"{name}, {size}x{size}", str(layout).rpartition(".")[2], kind, origin]
            for measured in (passes, steps):
                seconds, relative = measured[kind, origin]
                cells += [f"{1000 * seconds:.0f}", f"{relative:.2f}"]
            print(" | ".join(cells), flush=True)
            yield cells


def node_results() -> str:
    """How many cases of the installed onnx pass, and why the others do not."""
    outcomes = node_cases.run_all()
    counts = Counter(one.result for one in outcomes)
    lines = [
        f"Of the {len(outcomes):,} cases that onnx {onnx.__version__} carries for its operators, "
        f"{counts[node_cases.OTHER_TYPES]} have types that torch does not compute with (text, sequences, "
        "optionals, unsigned integers over eight bits, floats and integers of less). Of the other "
        f"{len(outcomes) - counts[node_cases.OTHER_TYPES]:,}:",
        table(["result", "cases"], [[name, counts[name]] for name in RESULTS]),
        "Differing: " + "; ".join(differing(outcomes)) + ".",
        table(["unsupported", "cases"], sorted(unsupported(outcomes).items())),
    ]
    return "\n\n".join(lines)


RESULTS = (node_cases.PASSED, node_cases.DIFFERS, node_cases.UNSUPPORTED)


def differing(outcomes: list[node_cases.Outcome]) -> Iterator[str]:
    """Each case that differs, with the reason."""
    for one in outcomes:
        if one.result == node_cases.DIFFERS:
            reason = next((why for start, why in REASONS.items() if one.name.startswith(start)), one.note)
            yield f"`{one.name}` ({reason})"


def unsupported(outcomes: list[node_cases.Outcome]) -> dict[str, int]:
    """Number of cases that are refused, by what refuses them."""
    reasons = (one.note for one in outcomes if one.result == node_cases.UNSUPPORTED)
    return Counter(reason_of(note) for note in reasons)


def reason_of(note: str) -> str:
    """What a message refuses, without the node that it names."""
    if ": " not in note:
        return note
    what = note.split(": ", 1)[1].removesuffix(" cannot be turned into torch.")
    operator, _, form = what.partition(" of opset ")
    return operator + form.lstrip("0123456789").rstrip(".")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="resnet18")
    parser.add_argument("--sizes", default="32,64")
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    header = ["network", "layout", "kind", "from", "forward, ms", "/ native", "training step, ms", "/ native"]
    sizes = [int(size) for size in arguments.sizes.split(",")]
    cases = [(name, size) for name in arguments.models.split(",") for size in sizes]
    rows = [row for case in cases for row in rows_of(*case, arguments.rounds)]
    write_page(
        "torch_module",
        "ONNX graphs as torch modules",
        "`onnxprune.to_torch` on networks that torch exported, beside the networks themselves: a forward "
        f"pass in evaluation mode and a step of SGD, batch {BATCH}, one thread, torch {torch.__version__}. "
        "*BN kept* is the network as it is, *BN folded* the one that exporters leave. Medians of "
        f"{arguments.rounds} rounds in which all take turns; relative to the native network of the same "
        "round.",
        table(header, rows),
        "## Test cases of onnx",
        node_results(),
    )


if __name__ == "__main__":
    main()
