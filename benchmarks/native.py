"""Networks as modules of torch itself, for pruners that need them, with the weights of ONNX files."""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from harness import ROOT
from onnx import numpy_helper
from torch import nn

sys.path.insert(0, str(ROOT / "fixtures"))
import architectures
import published

BUILDERS: Mapping[str, Callable[[], nn.Module]] = {
    "mlp_fashion": architectures.mlp,
    "vgg_fashion": architectures.vgg,
    "resnet_fashion": architectures.resnet,
    "mobilenet_fashion": architectures.mobilenet,
    "vgg16_cifar10": architectures.vgg16,
    "cp_resnet_mnist": published.cp_resnet,
    "resnet56_cifar10_bn": lambda: published.resnet_cifar(56),
}
"""By the stem of the file."""

TOLERANCE = 1e-4


def native(path: Path) -> nn.Module:
    """The network of a file as its authors would write it, with the same outputs.

    Where the exporter folded batch normalisation into a convolution, the module's becomes the identity with
    the folded bias.

    Raises:
        RuntimeError: the outputs differ, so the weights were not told apart rightly.
    """
    proto = onnx.load(str(path))
    module = BUILDERS[path.stem]().eval()
    entry = proto.graph.input[0]
    shape = [dim.dim_value or 2 for dim in entry.type.tensor_type.shape.dim]
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    fill(module, proto)
    (wanted,) = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {entry.name: values}
    )
    with torch.no_grad():
        found = module(torch.from_numpy(values)).numpy()
    error = float(np.abs(found - wanted).max() / np.abs(wanted).max())
    if error > TOLERANCE:
        raise RuntimeError(f"{path.name} and the module differ by {error:.1e}")
    return module


def fill(module: nn.Module, proto: onnx.ModelProto) -> None:
    """Give a module the weights of a file with the same layers in the same order."""
    shape = [dim.dim_value or 2 for dim in proto.graph.input[0].type.tensor_type.shape.dim]
    with torch.no_grad():
        _fill(_layers(module, torch.zeros(shape)), _constants(proto))


def export_module(
    module: nn.Module, path: Path, shape: Sequence[int], *, keep_batch_norm: bool = False
) -> None:
    """Write a module as ONNX with a dynamic batch; batch normalisation is folded, or kept."""
    kept = {"training": torch.onnx.TrainingMode.PRESERVE} if keep_batch_norm else {}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            (torch.zeros(2, *shape),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            **kept,
        )


def _constants(proto: onnx.ModelProto) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """Operator and constants of each layer and normalisation, in graph order; equal ones may be shared."""
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    origin = {node.output[0]: node.input[0] for node in proto.graph.node if node.op_type == "Identity"}
    for node in proto.graph.node:
        if node.op_type in ("Conv", "Gemm", "BatchNormalization"):
            own = [tensors[origin.get(name, name)] for name in node.input[1:]]
            yield node.op_type, [torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in own]


def _layers(module: nn.Module, values: torch.Tensor) -> list[nn.Module]:
    """Layers and normalisations in the order in which they run."""
    found: list[nn.Module] = []
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    hooks = [
        part.register_forward_hook(lambda part, *_: found.append(part))
        for part in module.modules()
        if isinstance(part, kinds)
    ]
    module(values)
    for hook in hooks:
        hook.remove()
    return found


def _fill(layers: Sequence[nn.Module], constants: Iterator[tuple[str, list[torch.Tensor]]]) -> None:
    """Give layers the constants of their nodes; a folded normalisation becomes the identity."""
    waiting = list(reversed(layers))
    for operator, values in constants:
        layer = waiting.pop()
        if operator == "BatchNormalization":
            for place, value in zip(
                (layer.weight, layer.bias, layer.running_mean, layer.running_var), values, strict=True
            ):
                place.copy_(value)
            continue
        layer.weight.copy_(values[0])
        if len(values) == 1:
            continue
        if layer.bias is not None:
            layer.bias.copy_(values[1])
            continue
        norm = waiting.pop()
        norm.running_var.fill_(1 - norm.eps)
        norm.bias.copy_(values[1])
