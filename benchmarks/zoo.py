"""Exports torchvision networks to ONNX, with both exporters of torch and both kinds of batch.

    python benchmarks/zoo.py FOLDER [--models resnet18,swin_t] [--variants dynamo_static,ts_dyn]

Writes ``FOLDER/<model>_<variant>.onnx`` and leaves files that exist alone, so a run can be taken up again.
The networks are untrained and nothing is downloaded. Every constant vector is randomised, because exporters
drop zero biases and merge equal constants, which trained networks do not show. Batch normalisation takes its
statistics from random images, so that activations stay of order one at any depth. Each file is compared with
torch in ONNX Runtime before it gets its name.

Besides the four variants there are two that are only made on request, or for one model each in a run without
filters: ``opset23`` (dynamo, where attention is one operator) and ``tsbn`` (TorchScript, batch normalisation
kept as a node).
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch import nn
from torchvision_shim import declare_missing_operators

SEED = 0
TOLERANCE = 1e-3
"""Largest accepted deviation of ONNX Runtime from torch, relative to the largest output."""


@dataclass(frozen=True)
class Network:
    """A torchvision network: the arguments of its constructor and its input size in pixels."""

    arguments: tuple[tuple[str, bool], ...] = ()
    pixels: int = 224


@dataclass(frozen=True)
class Variant:
    """One way to export a network."""

    dynamo: bool
    dynamic_batch: bool = False
    opset: int = 20
    keep_batch_norm: bool = False


_INCEPTION = (("aux_logits", False), ("init_weights", False))
NETWORKS = {
    "resnet18": Network(),
    "mobilenet_v2": Network(),
    "resnet50": Network(),
    "densenet121": Network(),
    "vit_b_16": Network(),
    "vgg16_bn": Network(),
    "mobilenet_v3_large": Network(),
    "efficientnet_b0": Network(),
    "convnext_tiny": Network(),
    "squeezenet1_1": Network(),
    "googlenet": Network(_INCEPTION),
    "inception_v3": Network(_INCEPTION, pixels=299),
    "regnet_y_400mf": Network(),
    "resnext50_32x4d": Network(),
    "shufflenet_v2_x1_0": Network(),
    "swin_t": Network(),
}
VARIANTS = {
    "dynamo_static": Variant(dynamo=True),
    "ts_dyn": Variant(dynamo=False, dynamic_batch=True),
    "dynamo_dyn": Variant(dynamo=True, dynamic_batch=True),
    "ts_static": Variant(dynamo=False),
    "opset23": Variant(dynamo=True, opset=23),
    "tsbn": Variant(dynamo=False, keep_batch_norm=True),
}
DEFAULT_VARIANTS = ("dynamo_static", "ts_dyn", "dynamo_dyn", "ts_static")
EXTRAS = (("vit_b_16", "opset23"), ("resnet18", "tsbn"))


def build(name: str, *, seed: int = SEED) -> nn.Module:
    """Return the network in evaluation mode with reproducible random weights."""
    declare_missing_operators()
    from torchvision import models  # only importable after the line above

    torch.manual_seed(seed)
    network = NETWORKS[name]
    model: nn.Module = models.get_model(name, weights=None, **dict(network.arguments)).eval()
    with torch.no_grad():
        _randomise_parameters(model)
        _settle_batch_norms(model, torch.randn(4, 3, network.pixels, network.pixels))
    return model


def _randomise_parameters(model: nn.Module) -> None:
    """Give every constant parameter values of its own; weights that are drawn already stay."""
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    for module in model.modules():
        is_norm = isinstance(module, norms)
        for name, parameter in module.named_parameters(recurse=False):
            if is_norm and name == "weight":
                parameter.uniform_(0.5, 1.5)
            elif is_norm:
                parameter.normal_(0, 0.1)
            elif name == "layer_scale":  # starts at 1e-6, which hides the branch it scales
                parameter.uniform_(0.2, 0.6)
            elif parameter.ndim == 1 or name == "class_token":
                parameter.normal_(0, 0.02)
            elif parameter.unique().numel() == 1:  # heads that start at zero
                parameter.normal_(0, parameter[0].numel() ** -0.5)


def _settle_batch_norms(model: nn.Module, images: torch.Tensor) -> None:
    """Set the statistics of each batch normalisation near those of its input, in execution order."""

    def settle(norm: nn.modules.batchnorm._BatchNorm, inputs: tuple[torch.Tensor, ...]) -> None:
        (values,) = inputs
        variance, mean = torch.var_mean(values, dim=(0, 2, 3))
        variance = variance.clamp_min(1e-2 * float(variance.mean()) + 1e-6)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean + 0.1 * variance.sqrt() * torch.randn_like(mean))
        norm.running_var.copy_(variance * torch.empty_like(variance).uniform_(0.5, 1.5))

    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_pre_hook(settle) for norm in norms]
    model(images)
    for hook in hooks:
        hook.remove()


def export(model: nn.Module, pixels: int, variant: Variant, path: Path) -> None:
    """Write the network as one ONNX file without external data."""
    batch = 2 if variant.dynamic_batch else 1
    images = torch.randn(batch, 3, pixels, pixels)
    options: dict[str, Any] = {}
    if variant.dynamo:
        options["external_data"] = False
        if variant.dynamic_batch:
            options["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    else:
        if variant.dynamic_batch:
            options["dynamic_axes"] = {"input": {0: "batch"}, "output": {0: "batch"}}
        if variant.keep_batch_norm:
            options["training"] = torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        model,
        (images,),
        str(path),
        dynamo=variant.dynamo,
        opset_version=variant.opset,
        input_names=["input"],
        output_names=["output"],
        **options,
    )


def deviation(model: nn.Module, pixels: int, variant: Variant, path: Path) -> float:
    """Return the largest deviation of the file from the module, relative to the largest output."""
    session_options = ort.SessionOptions()
    session_options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), session_options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in (1, 3) if variant.dynamic_batch else (1,):
        images = torch.randn(batch, 3, pixels, pixels)
        with torch.no_grad():
            expected = model(images).numpy()
        (got,) = session.run(None, {"input": images.numpy()})
        difference = float(np.abs(got - expected).max() / np.abs(expected).max())
        if not np.isfinite(difference):
            raise ArithmeticError("the outputs are not finite")
        worst = max(worst, difference)
    return worst


def produce(model_name: str, variant_name: str, folder: Path) -> str:
    """Build, export and check one file; return a line about the outcome."""
    path = folder / f"{model_name}_{variant_name}.onnx"
    if path.exists():
        return f"{path.name}: there already"
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    start = time.perf_counter()
    try:
        with _silence():
            pixels, variant = NETWORKS[model_name].pixels, VARIANTS[variant_name]
            model = build(model_name)
            export(model, pixels, variant, unfinished)
            worst = deviation(model, pixels, variant, unfinished)
        if worst > TOLERANCE:
            return f"{path.name}: FAILED, differs from torch by {worst:.1e}"
        size = unfinished.stat().st_size
        unfinished.replace(path)
    except Exception as error:  # an exporter may raise anything; the next file does not depend on it
        reason = (str(error).strip() or "no message").splitlines()[0]
        return f"{path.name}: FAILED, {type(error).__name__}: {reason}"
    finally:
        unfinished.unlink(missing_ok=True)
    seconds = time.perf_counter() - start
    return f"{path.name}: {size / 1e6:.1f} MB, {seconds:.0f} s, largest relative difference {worst:.1e}"


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Send standard output and error of this process, compiled code included, to nowhere for a while."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(nowhere)


def _in_own_process(job: tuple[str, str], folder: Path, threads: int) -> str:
    """Run one job in a fresh process, so that its memory is given back and a crash stays its own."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, context, torch.set_num_threads, (threads,)) as pool:
            return pool.submit(produce, *job, folder).result()
    except Exception as error:
        return f"{job[0]}_{job[1]}.onnx: FAILED, {type(error).__name__}: {error}"


def _names(text: str, known: Sequence[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


def main() -> int:
    """Export what the command line asks for; return the number of files that are missing at the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", type=lambda text: _names(text, tuple(NETWORKS)))
    parser.add_argument("--variants", type=lambda text: _names(text, tuple(VARIANTS)))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    variants = arguments.variants or DEFAULT_VARIANTS
    jobs = [(model, variant) for variant in variants for model in arguments.models or NETWORKS]
    if arguments.models is None and arguments.variants is None:
        jobs += EXTRAS
    missing = 0
    for number, job in enumerate(jobs, start=1):
        line = _in_own_process(job, arguments.folder, arguments.threads)
        missing += "FAILED" in line
        print(f"[{number}/{len(jobs)}] {line}", flush=True)
    return missing


if __name__ == "__main__":
    sys.exit(min(main(), 125))
