"""How many samples a run may take so that its values stay within a bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import accumulate
from math import prod

from onnxprune.calibration.samples import Batch, Samples
from onnxprune.coupling import Coupling
from onnxprune.errors import UsageError
from onnxprune.model.constants import Array

LIMIT = 512 << 20
"""Bytes that the values of one run may take."""

MOST_SAMPLES = 8
"""More samples a run win nothing on a processor, and leave its caches."""

ELEMENT = 4
"""Bytes of an element: values are taken to be single precision."""


def batch_size(
    coupling: Coupling, samples: Samples, *, held: Collection[str] | None = (), copies: int = 0
) -> int:
    """Number of samples to run at a time.

    Args:
        coupling: of the model.
        samples: what it will be run on.
        held: values that are kept until the end of a run; None for all of them, as a backward pass needs.
        copies: how many values of its size each held one makes.

    Raises:
        UsageError: the model takes a fixed number of samples at a time, and there are fewer.
    """
    fixed = fixed_batch(coupling)
    if fixed:
        if samples.count < fixed:
            raise UsageError(
                f"The model takes batches of {fixed} samples, and there are only {samples.count}.",
                hint="Give more samples, or export the model with a dynamic batch.",
            )
        return fixed
    bytes_each = _peak(coupling, held, copies) * _scale(coupling, samples)
    return int(max(1, min(MOST_SAMPLES, LIMIT // max(bytes_each, 1.0))))


def fixed_batch(coupling: Coupling) -> int:
    """The batch size that the model's inputs are declared with, 0 where it is open."""
    freeze = coupling.traces.first.freeze
    sizes = [shape[0] for shape in freeze.inputs.values() if shape]
    return 0 if freeze.batch > 1 else max(sizes, default=1)


def whole_batches(coupling: Coupling, samples: Samples) -> Samples:
    """The samples, without those at the end that do not fill a batch of fixed size."""
    fixed = fixed_batch(coupling) or 1
    return samples if samples.count % fixed == 0 else samples.part(0, samples.count // fixed * fixed)


def _peak(coupling: Coupling, held: Collection[str] | None, copies: int) -> float:
    """Bytes a sample of the values that live at the same time, for the sizes of the trace."""
    trace, graph = coupling.traces.first, coupling.model.proto.graph
    size = {
        name: ELEMENT * prod(shape) / trace.freeze.batch
        for name, shape in trace.shapes.items()
        if name not in coupling.model.constants and name not in trace.values
    }
    if held is None:
        return sum(size.values()) * (1 + copies)
    last: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        last.update(dict.fromkeys((*node.input, *node.output), index))
    last.update(dict.fromkeys(held, len(graph.node)))
    change = [0.0] * (len(graph.node) + 2)
    for index, node in enumerate(graph.node):
        for name in node.output:
            change[index] += size.get(name, 0.0)
            change[last[name] + 1] -= size.get(name, 0.0)
    return max(accumulate(change)) + copies * sum(size.get(name, 0.0) for name in held)


def _scale(coupling: Coupling, samples: Samples) -> float:
    """How many times larger a sample is than the trace took it to be, where its size is open."""
    traced, trace = 0.0, coupling.traces.first
    first: Batch = next(iter(samples.batches(1)))
    feed: Mapping[str, Array] = first.feed
    for name in feed:
        traced += prod(trace.shapes.get(name, ())) / trace.freeze.batch
    given = sum(values.size for values in feed.values())
    return max(given / traced, 1e-3) if traced else 1.0
