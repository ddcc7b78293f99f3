"""Masked equivalence, checked without the code under test.

A pruned model is right when (a) each constant that the report cuts holds the kept slices of the source,
bit for bit, wherever its name survives, (b) it computes what the source computes with the removed slices
masked (see ``masking``), and (c) its inputs, outputs and metadata are those of the source.
Nothing here imports onnxprune.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from masking import MASK, STATISTICS, Cuts, constants, grouped, mask_constants, statistic_axes, use_masks

Values = dict[str, np.ndarray]


def check(
    source: onnx.ModelProto,
    pruned: onnx.ModelProto,
    cuts: Cuts,
    *,
    tolerance: float = 1e-4,
    seeds: Sequence[int] = (0,),
    expect_cut: bool | None = None,
    feed: Mapping[str, np.ndarray] | None = None,
) -> float:
    """Asserts (a), (b) and (c); returns the largest relative error over the outputs.

    Args:
        source: the model before pruning, constants in place.
        pruned: the model after it.
        cuts: constant of the source -> axis -> {"size", "kept"}, as in the report.
        tolerance: largest error of an output, relative to its largest magnitude.
        seeds: one draw of random inputs each.
        expect_cut: whether something must (True) or must not (False) have been cut.
        feed: inputs that take the place of the random ones.
    """
    if expect_cut is not None:
        assert bool(cuts) == expect_cut, f"cut: {sorted(cuts) or 'nothing'}"
        smaller = parameters(pruned) < parameters(source)
        assert smaller == expect_cut, f"parameters {parameters(source)} -> {parameters(pruned)}"
    check_interface(source, pruned)
    check_values(source, pruned, cuts)
    worst = 0.0
    for seed in seeds:
        want, got = outputs(source, pruned, cuts, {**random_feed(source, seed), **(feed or {})})
        for name in want:
            worst = max(worst, relative_error(name, want[name], got[name]))
    assert worst <= tolerance, f"relative error {worst:.2e} is over {tolerance:.0e}"
    return worst


def parameters(model: onnx.ModelProto) -> int:
    """Number of elements in all floating-point and quantised constants."""
    return sum(v.size for v in constants(model).values() if v.dtype not in (np.int64, np.int32, np.bool_))


def check_interface(source: onnx.ModelProto, pruned: onnx.ModelProto) -> None:
    """Inputs, outputs and metadata are those of the source; the pruned file is valid ONNX."""
    held = {i.name for m in (source, pruned) for i in m.graph.initializer}
    inputs = [[i for i in m.graph.input if i.name not in held] for m in (source, pruned)]
    assert inputs[0] == inputs[1], "the graph's inputs changed"
    assert list(source.graph.output) == list(pruned.graph.output), "the graph's outputs changed"
    if source.ir_version > 3:
        names = [{i.name for i in m.graph.input} & held for m in (source, pruned)]
        assert names[1] <= names[0], "constants became graph inputs"
    for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
        assert getattr(source, field) == getattr(pruned, field), f"{field} changed"
    assert list(source.opset_import) == list(pruned.opset_import), "opset imports changed"
    assert list(source.metadata_props) == list(pruned.metadata_props), "metadata changed"
    assert source.graph.name == pruned.graph.name, "the graph's name changed"
    _check_file(source, pruned)


def _check_file(source: onnx.ModelProto, pruned: onnx.ModelProto) -> None:
    """The checker and strict shape inference accept the pruned file where they accept the source."""
    try:
        onnx.checker.check_model(source)
        onnx.shape_inference.infer_shapes(source, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return
    onnx.checker.check_model(pruned)
    onnx.shape_inference.infer_shapes(pruned, strict_mode=True)


def check_values(source: onnx.ModelProto, pruned: onnx.ModelProto, cuts: Cuts) -> None:
    """Constants that were cut hold the kept slices; floating-point ones that were not are as before."""
    before, after = constants(source), constants(pruned)
    for name in before.keys() & after.keys():
        want, got = before[name], after[name]
        assert want.dtype == got.dtype, f"{name}: {want.dtype} became {got.dtype}"
        if name not in cuts and np.issubdtype(want.dtype, np.integer):
            continue  # numbers that follow from sizes, rewritten under the same name
        for axis, cut in cuts.get(name, {}).items():
            want = np.take(want, cut["kept"], int(axis))
        assert want.shape == got.shape, f"{name}: the cuts leave {want.shape}, the file has {got.shape}"
        assert want.tobytes() == np.asarray(got, order="C").tobytes(), (
            f"{name}: not the kept slices of the source"
        )


def outputs(
    source: onnx.ModelProto, pruned: onnx.ModelProto, cuts: Cuts, feed: Values
) -> tuple[Values, Values]:
    """Outputs of the masked source and of the pruned model, by name."""
    masked = mask_constants(source, cuts)
    names = [o.name for o in source.graph.output]
    seen = _statistics(masked, pruned)
    want = run(masked, feed, extra=seen.values())
    got = run(pruned, feed, extra=seen.values(), optimise=True)
    changed = {}
    for output, name in seen.items():
        node = next(n for n in masked.graph.node if n.output[0] == output)
        twin = next(n for n in pruned.graph.node if n.output[0] == output)
        x, y = grouped(node, want[name]), grouped(twin, got[name])
        axes = (
            (2,) if node.op_type == "GroupNormalization" else statistic_axes(node, x.ndim, constants(masked))
        )
        if any(x.shape[a] != y.shape[a] for a in axes):
            changed[output] = (name, node, y, axes)
    if changed:
        want = _run_masked(masked, changed, feed, shapes={o: want[seen[o]].shape for o in changed})
    return {n: want[n] for n in names}, {n: got[n] for n in names}


def _statistics(masked: onnx.ModelProto, pruned: onnx.ModelProto) -> dict[str, str]:
    """First output -> first input of each node that takes a statistic and is in the pruned model too."""
    twins = {n.output[0]: n for n in pruned.graph.node if n.op_type in STATISTICS}
    nodes = (n for n in masked.graph.node if n.op_type in STATISTICS and n.output[0] in twins)
    return {n.output[0]: n.input[0] for n in nodes if twins[n.output[0]].input[0] == n.input[0]}


def _run_masked(masked: onnx.ModelProto, changed: Mapping, feed: Values, *, shapes: Mapping) -> Values:
    """Runs the masked source with its statistics over what is kept, finding the masks in graph order."""
    use_masks(masked, shapes)
    inputs = {name for name, *_ in changed.values()}
    session = _session(masked, extra=inputs)
    masks = {
        o + MASK: np.ones(i.shape, np.float32)
        for o in changed
        for i in session.get_inputs()
        if i.name == o + MASK
    }
    for output, (name, node, y, axes) in changed.items():
        x = grouped(node, session.run([name], {**feed, **masks})[0])
        mask = kept_positions(x.astype(np.float64), y.astype(np.float64), axes)
        assert mask is not None, (
            f"the input {name!r} of {node.op_type} is no selection from the masked source's"
        )
        masks[output + MASK] = mask.astype(np.float32)
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, {**feed, **masks}), strict=True))


def kept_positions(x: np.ndarray, y: np.ndarray, axes: Sequence[int]) -> np.ndarray | None:
    """Where y, shorter than x along the given axes, is found in x: a mask of x's shape, or None.

    Along every axis the kept positions are in order. Axes outside the given ones that are shorter too
    (heads, whose own channels are cut) are searched one index at a time.
    """
    other = [a for a in range(1, x.ndim) if a not in axes and x.shape[a] != y.shape[a]]
    if other:
        return _kept_slices(x, y, axes, other[0])
    rows = [a for a in range(1, x.ndim) if a not in axes]
    order = [*([0] if 0 not in axes else []), *rows, *axes]
    batch = 1 if 0 in axes else x.shape[0]
    flat, short = (
        v.transpose(order).reshape(batch, int(np.prod([v.shape[a] for a in rows])), -1) for v in (x, y)
    )
    alike = flat.reshape(-1, 1, flat.shape[2]), short.reshape(-1, 1, short.shape[2])
    tries = ((a, b, near) for near in (1e-5, 3e-4) for a, b in (alike, (flat, short)))
    for (
        a,
        b,
        near,
    ) in tries:  # all rows keep the same channels, or each (group) its own; rounding may have grown
        mask = _kept_columns(a, b, near)
        if mask is not None:
            shape = [x.shape[a] for a in order]
            return np.broadcast_to(mask, flat.shape).reshape(shape).transpose(np.argsort(order))
    return None


def _kept_columns(x: np.ndarray, y: np.ndarray, tolerance: float) -> np.ndarray | None:
    """Where y, shape (batch, rows, m), is found in x, shape (batch, rows, n): a mask (1, rows, n), or None."""
    rows, last = np.arange(x.shape[1]), y.shape[2]
    close = tolerance * max(np.abs(x).max(), 1e-12)
    place, mask = np.zeros(x.shape[1], np.int64), np.zeros((1, *x.shape[1:]), bool)
    for k in range(x.shape[2]):
        want = y[:, rows, np.minimum(place, last - 1)]
        near = np.abs(x[:, :, k] - want) <= close + 1e-4 * np.abs(want)
        mask[0, :, k] = np.all(near, axis=0) & (place < last)
        place += mask[0, :, k]
    return None if np.any(place < last) else mask


def _kept_slices(x: np.ndarray, y: np.ndarray, axes: Sequence[int], axis: int) -> np.ndarray | None:
    mask, place = np.ones(x.shape, bool), 0
    for index in range(x.shape[axis]):
        if place == y.shape[axis]:
            break
        where: list[slice | int] = [slice(None)] * x.ndim
        where[axis] = slice(index, index + 1)
        found = kept_positions(x[tuple(where)], y.take([place], axis), axes)
        if found is not None:
            mask[tuple(where)] = found
            place += 1
    return mask if place == y.shape[axis] else None


def run(model: onnx.ModelProto, feed: Values, *, extra: Sequence[str] = (), optimise: bool = False) -> Values:
    """Outputs, and extra tensors, of one ONNX Runtime run."""
    session = _session(model, extra=extra, optimise=optimise)
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def _session(
    model: onnx.ModelProto, *, extra: Sequence[str] = (), optimise: bool = False
) -> ort.InferenceSession:
    given = {o.name for o in model.graph.output}
    wanted = [name for name in dict.fromkeys(extra) if name not in given]
    if wanted:
        model = onnx.ModelProto.FromString(model.SerializeToString())
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def random_feed(model: onnx.ModelProto, seed: int) -> Values:
    """Random inputs: a symbolic first axis becomes 2, other symbolic axes 64."""
    rng, feed = np.random.default_rng(seed), {}
    held = {i.name for i in model.graph.initializer}
    for i in model.graph.input:
        if i.name in held:
            continue
        dims = i.type.tensor_type.shape.dim
        shape = [d.dim_value or (2 if k == 0 else 64) for k, d in enumerate(dims)]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
        drawn = rng.standard_normal(shape) if np.issubdtype(dtype, np.floating) else rng.integers(0, 2, shape)
        feed[i.name] = drawn.astype(dtype)
    return feed


def relative_error(name: str, want: np.ndarray, got: np.ndarray) -> float:
    """Largest difference relative to the largest magnitude of what is wanted; infinite where one is not finite."""
    assert want.shape == got.shape, f"output {name}: {want.shape} became {got.shape}"
    assert want.dtype == got.dtype, f"output {name}: {want.dtype} became {got.dtype}"
    if not want.size:
        return 0.0
    want, got = want.astype(np.float64), got.astype(np.float64)
    if not np.array_equal(np.isfinite(want), np.isfinite(got)):
        return float("inf")
    want, got = np.nan_to_num(want), np.nan_to_num(got)
    return float(np.abs(want - got).max() / (np.abs(want).max() + 1e-12))
