"""Graphs of many nodes and files of many bytes: time and memory of the whole command.

    python benchmarks/scale.py [--nodes 100,1000,10000] [--gigabytes 3] [--folder FOLDER]

Generates residual chains of convolutions with small weights, and one large model with external data, prunes
them by the command line and deletes them again. FOLDER must have room for about 1.4 times the large model.
Writes ``docs/benchmarks/scale.md``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from harness import measure, prune, table, write_page
from onnx import TensorProto, helper, numpy_helper

RATIO = "0.4"
CHANNELS, PIXELS = 8, 8
WIDTH = 4096
CONVOLUTIONS, CONVOLVED = 4, 1024
PAGE = 4096


def residual_chain(nodes: int) -> onnx.ModelProto:
    """Blocks of Conv, Relu, Conv, Add on one stream of channels, between two convolutions."""
    rng = np.random.default_rng(0)
    graph = onnx.GraphProto(name="chain")
    shape = [1, CHANNELS, PIXELS, PIXELS]
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, PIXELS, PIXELS]))
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, shape))

    def conv(source: str, target: str, channels: int, gain: float) -> None:
        weight = rng.standard_normal((CHANNELS, channels, 3, 3), np.float32) * np.float32(gain)
        graph.initializer.append(numpy_helper.from_array(weight, f"{target}.weight"))
        node = helper.make_node("Conv", [source, f"{target}.weight"], [target], name=target, pads=[1] * 4)
        graph.node.append(node)

    conv("x", "stream0", 3, 0.3)
    blocks = (nodes - 2) // 4
    for k in range(blocks):
        conv(f"stream{k}", f"a{k}", CHANNELS, 0.1)
        graph.node.append(helper.make_node("Relu", [f"a{k}"], [f"r{k}"], name=f"r{k}"))
        conv(f"r{k}", f"b{k}", CHANNELS, 0.1 / blocks**0.5)
        graph.node.append(
            helper.make_node("Add", [f"stream{k}", f"b{k}"], [f"stream{k + 1}"], name=f"add{k}")
        )
    conv(f"stream{blocks}", "y", CHANNELS, 0.1)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def large_layers(nbytes: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the weights of a model of about so many bytes: convolutions, then dense layers."""
    left = nbytes
    for k in range(CONVOLUTIONS):
        shape = (CONVOLVED, CONVOLVED if k else 3, 3, 3)
        left -= 4 * int(np.prod(shape))
        yield f"conv{k}", shape
    rows = CONVOLVED
    while left > 0:
        yield f"dense{left}", (rows, WIDTH)
        left -= 4 * rows * WIDTH
        rows = WIDTH
    yield "scores", (rows, 10)


def large_model(path: Path, nbytes: int) -> None:
    """Write the model and its external data, one weight in memory at a time."""
    graph = onnx.GraphProto(name="large")
    graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 16, 16]))
    graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10]))
    data = path.with_name("weights.bin")
    value = "x"
    rng = np.random.default_rng(0)
    with data.open("wb") as file:
        for name, shape in large_layers(nbytes):
            file.write(bytes(-file.tell() % PAGE))
            fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
            weight = rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
            graph.initializer.append(_external(f"{name}.weight", weight, data.name, file.tell()))
            file.write(weight.data)
            value = _layer(graph, name, len(shape), value)
    graph.node[-1].output[0] = "y"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def _layer(graph: onnx.GraphProto, name: str, rank: int, value: str) -> str:
    if rank == 4:
        graph.node.append(
            helper.make_node("Conv", [value, f"{name}.weight"], [name], name=name, pads=[1] * 4)
        )
    elif graph.node[-2].op_type == "Conv":
        graph.node.append(helper.make_node("GlobalAveragePool", [value], ["pooled"], name="pooled"))
        graph.node.append(helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"))
        graph.node.append(helper.make_node("Gemm", ["flat", f"{name}.weight"], [name], name=name))
    else:
        graph.node.append(helper.make_node("Gemm", [value, f"{name}.weight"], [name], name=name))
    if name != "scores":
        graph.node.append(helper.make_node("Relu", [name], [f"{name}.relu"], name=f"{name}.relu"))
    return f"{name}.relu"


def _external(name: str, weight: np.ndarray, location: str, offset: int) -> TensorProto:
    tensor = TensorProto(name=name, dims=weight.shape, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", weight.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def row(name: str, source: Path, nbytes: int, *options: str) -> list[str]:
    """Prune a file and describe the run."""
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        measured, report = prune(source, Path(folder) / "pruned.onnx", "--ratio", RATIO, *options)
    before, after = report["totals"]["params"]
    check = report["verification"].get("masked_equivalence", {})
    error = f"{check['max_relative_error']:.1e}" if check else "not run"
    size = f"{nbytes / 1e9:.2f} GB" if nbytes > 1e9 else f"{nbytes / 1e6:.1f} MB"
    peak = f"{measured.peak_bytes / nbytes:.2f}" if nbytes > 1e9 else ""
    left = f"{after / before:.3f}"
    memory = f"{measured.peak_bytes / 1e6:.0f}"
    passed = error if check.get("passed", not check) else f"**failed** ({error})"
    return [name, size, left, f"{measured.seconds:.1f}", memory, peak, passed]


def large_rows(path: Path, gigabytes: float) -> list[list[str]]:
    """Prune a large model with and without verification."""
    measure([sys.executable, __file__, "--gigabytes", str(gigabytes), "--make", path])
    size = path.stat().st_size + path.with_name("weights.bin").stat().st_size
    found = [row("external data", path, size), row("the same, `--no-verify`", path, size, "--no-verify")]
    print(*found, sep="\n", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", default="100,1000,10000")
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument(
        "--folder", type=Path, help="where the models are written; default: the system's choice"
    )
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    nbytes = int(arguments.gigabytes * 1e9)
    if arguments.make:  # in a process of its own, whose memory is not counted
        large_model(arguments.make, nbytes)
        return
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for nodes in [int(n) for n in arguments.nodes.split(",") if n]:
            path = Path(folder) / f"{nodes}.onnx"
            onnx.save(residual_chain(nodes), path)
            rows += [row(f"{nodes:,} nodes", path, path.stat().st_size)]
            print(rows[-1], flush=True)
        if nbytes:
            rows += large_rows(Path(folder) / "large.onnx", arguments.gigabytes)
    header = ["model", "file", "parameters left", "seconds", "peak memory, MB", "peak / file", "error"]
    write_page(
        "scale",
        "Scale",
        f"The whole command at `--ratio {RATIO}`, verification included, in a fresh process: residual chains "
        f"of 3x3 convolutions of {CHANNELS} channels, and a model of convolutions and dense layers with its "
        "weights in an external file. Peak memory is the largest resident set, pages of mapped files "
        "included; Python and its imports take about 80 MB of it. Error: largest difference from the masked "
        "source, relative to the largest output.",
        table(header, rows),
    )


if __name__ == "__main__":
    main()
