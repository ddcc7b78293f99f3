"""Least-squares reconstruction: every layer behind a cut is fitted to what it gave before.

``lstsq`` walks the pruned model in the order of execution. The inputs of a fit come from the pruned model
with all earlier layers repaired, its targets from the source; where a layer's output meets a shortcut, the
target is moved by what the shortcut has drifted. He et al. 2017 (arXiv 1707.06168), Luo et al. 2017
(arXiv 1707.06342). ``obs`` fits each layer to the source's own inputs, so that it needs one run only: it
is the update of Optimal Brain Surgeon for all removed columns at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from onnxprune.calibration import Samples
from onnxprune.calibration.memory import fixed_batch
from onnxprune.coupling import Coupling
from onnxprune.coupling.coupling import Survivors
from onnxprune.coupling.groups import Indices
from onnxprune.model import Model
from onnxprune.model.constants import Array, Constant
from onnxprune.reconstruction.collecting import Picker, batch_size, collect
from onnxprune.reconstruction.fit import Fit, fit
from onnxprune.reconstruction.layers import Left, LinearLayer, find_layers
from onnxprune.reconstruction.stages import Stages, Stored
from onnxprune.repair.method import Repaired, RepairOptions
from onnxprune.surgery import Cut

FAINT = 1e-6
"""Channels that are scaled down by more than this on their way to a sum cannot make up for its drift."""


@dataclass(frozen=True)
class _Plan:
    """A layer to fit, with the same layer of the source."""

    layer: LinearLayer
    source: LinearLayer


def lstsq(
    coupling: Coupling,
    cut: Cut,
    kept: Mapping[str, Indices],
    samples: Samples | None,
    options: RepairOptions,
) -> Repaired:
    """Fit layer by layer, each on what the repaired layers before it give.

    Raises:
        Refusal: ONNX Runtime does not run one of the models on the samples.
    """
    assert samples is not None
    return _Sequential(coupling, cut, samples, options).run()


def obs(
    coupling: Coupling,
    cut: Cut,
    kept: Mapping[str, Indices],
    samples: Samples | None,
    options: RepairOptions,
) -> Repaired:
    """Fit every layer on the kept part of what it reads in the source.

    Raises:
        Refusal: ONNX Runtime does not run the source on the samples.
    """
    assert samples is not None
    return _Parallel(coupling, cut, samples, options).run()


class _Reconstruction:
    def __init__(self, coupling: Coupling, cut: Cut, samples: Samples, options: RepairOptions) -> None:
        self.coupling = coupling
        self.survivors: Survivors = cut.survivors
        self.options = options
        self.cut = cut
        self.biases = _with_biases(cut.model)
        self.batch = batch_size(samples, fixed_batch(coupling))
        self.samples = samples
        layers, self.left = find_layers(self.biases)
        sources = {layer.node.output[0]: layer for layer in find_layers(coupling.model)[0]}
        known = set(coupling.engine.axes)
        self.plans = [
            _Plan(layer, sources[layer.node.output[0]])
            for layer in layers
            if layer.node.output[0] in sources and {layer.source, layer.result} <= known
        ]
        self.changed: dict[str, Constant] = {}
        self.rows: list[Mapping[str, Any]] = []

    def run(self) -> Repaired:
        for plan in self.plans:
            if self.options.progress is not None:
                self.options.progress(plan.layer.name)
            self._apply(plan.layer, self._fitted(plan))
        return Repaired(
            model=_finished(self.cut.model, self.biases, self.changed),
            layers=tuple(self.rows),
            figures={"samples": self.samples.count, "layers": len({r["layer"] for r in self.rows})},
            notes=tuple(_left_notes(self.left)),
        )

    def _fitted(self, plan: _Plan) -> Fit:
        raise NotImplementedError

    def _fit(self, layer: LinearLayer, inputs: Stored, targets: Iterator[Array]) -> Fit:
        columns = layer.columns
        picker = Picker(layer.name, self.options.seed, columns, len(inputs))
        own, held = collect(columns, picker, inputs, targets)
        weight = columns.pack(self._values(layer.weight))
        bias = self._values(layer.bias).reshape(columns.groups, -1) if layer.bias else None
        none = np.zeros((columns.groups, columns.channels // columns.groups))
        return fit(own, held, weight, none if bias is None else bias, centred=bias is not None)

    def _apply(self, layer: LinearLayer, found: Fit) -> None:
        if found.choice == "kept":
            return
        shape = self.biases.constants[layer.weight].shape
        self._replace(layer.weight, layer.columns.unpack(found.weight, shape))
        if layer.bias:
            self._replace(layer.bias, found.bias)
        figures = {"before": round(found.before, 6), "after": round(found.after, 6)}
        self.rows.append({"layer": layer.name, "choice": found.choice, **figures})

    def _replace(self, name: str, values: Array) -> None:
        old = self.biases.constants[name]
        typed = values.reshape(old.shape).astype(old.values().dtype)
        self.changed[name] = old.replaced(typed)

    def _values(self, name: str) -> Array:
        return np.asarray(self.biases.constants[name].values(), dtype=np.float64)

    def _restricted(self, name: str, values: Array) -> Array:
        """A value of the source without what was removed from it."""
        for axis, labels in enumerate(self.coupling.engine.axes[name]):
            mask = self.survivors.mask(labels)
            if not mask.all() and len(mask) == values.shape[axis]:
                values = np.compress(mask, values, axis=axis)
        return values


class _Parallel(_Reconstruction):
    """Every layer by itself."""

    def __init__(self, coupling: Coupling, cut: Cut, samples: Samples, options: RepairOptions) -> None:
        super().__init__(coupling, cut, samples, options)
        wanted = [name for plan in self.plans for name in (plan.layer.source, plan.layer.result)]
        self.stages = Stages(
            coupling.model, samples, batch=self.batch, wanted=wanted, threads=options.threads
        )

    def _fitted(self, plan: _Plan) -> Fit:
        layer = plan.layer
        found = self.stages.fetch([layer.source, layer.result])
        inputs = [self._restricted(layer.source, values) for values in found[layer.source]]
        return self._fit(layer, inputs, (self._restricted(layer.result, v) for v in found[layer.result]))


class _Sequential(_Reconstruction):
    """One layer after the other, the pruned model running alongside the source."""

    def __init__(self, coupling: Coupling, cut: Cut, samples: Samples, options: RepairOptions) -> None:
        super().__init__(coupling, cut, samples, options)
        others = [other for plan in self.plans if (other := self._other(plan))]
        dense = [plan.layer.result for plan in self.plans]
        pruned = [plan.layer.source for plan in self.plans]
        settings: dict[str, Any] = {"batch": self.batch, "threads": options.threads}
        self.dense = Stages(coupling.model, samples, wanted=[*dense, *others], **settings)
        self.pruned = Stages(self.biases, samples, wanted=[*pruned, *others], **settings)
        self.open = {plan.layer.node.output[0] for plan in self.plans}

    def _other(self, plan: _Plan) -> str:
        """The summand whose drift a layer can make up for; empty where there is none."""
        ours, theirs = plan.layer.meeting, plan.source.meeting
        if ours is None or theirs is None or not plan.layer.fits_bias:
            return ""
        same = (ours.other, ours.total) == (theirs.other, theirs.total)
        return ours.other if same and ours.other in self.coupling.engine.axes else ""

    def _fitted(self, plan: _Plan) -> Fit:
        layer = plan.layer
        inputs = self.pruned.fetch([layer.source])[layer.source]
        drift = self._drift(plan)
        wanted = self.dense.fetch([layer.result])[layer.result]
        return self._fit(layer, inputs, self._targets(layer, wanted, drift))

    def _targets(
        self, layer: LinearLayer, wanted: Stored, drift: tuple[Stored, Stored] | None
    ) -> Iterator[Array]:
        for i, values in enumerate(wanted):
            target = self._restricted(layer.result, values)
            if drift is None or layer.meeting is None:
                yield target
                continue
            missing = self._restricted(layer.meeting.other, drift[0][i]) - drift[1][i]
            yield target + _unscaled(missing, layer) if missing.shape == target.shape else target

    def _drift(self, plan: _Plan) -> tuple[Stored, Stored] | None:
        """The other summand in the source and here, where it is known before this layer is."""
        self.open.discard(plan.layer.node.output[0])
        other = self._other(plan)
        if not other:
            return None
        ahead = self.pruned.makers_of([other])
        if plan.layer.node.output[0] in ahead or ahead & self.open:
            self.pruned.release([other])
            self.dense.release([other])
            return None
        return self.dense.fetch([other])[other], self.pruned.fetch([other])[other]

    def _replace(self, name: str, values: Array) -> None:
        super()._replace(name, values)
        self.pruned.constants[name] = self.changed[name]


def _unscaled(missing: Array, layer: LinearLayer) -> Array:
    """What the layer has to give more, so that behind its scale the sum has what is missing."""
    factor = np.ones(1) if layer.meeting is None else layer.meeting.factor
    strong = np.abs(factor) > FAINT * np.abs(factor).max(initial=0.0)
    inverse = np.divide(1.0, factor, out=np.zeros_like(factor), where=strong)
    shape = [1] * missing.ndim
    shape[layer.columns.channel_axis] = -1
    moved: Array = missing * inverse.reshape(shape).astype(missing.dtype)
    return moved


def _with_biases(model: Model) -> Model:
    """The model with a bias of zeros in every layer that can have one and has none."""
    missing = [layer for layer in find_layers(model)[0] if layer.can_get_bias]
    if not missing:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    by_output = {node.output[0]: node for node in proto.graph.node}
    taken = set(model.constants) | {name for node in proto.graph.node for name in node.output}
    added: dict[str, Constant] = {}
    for layer in missing:
        node, weight = by_output[layer.node.output[0]], model.constants[layer.weight]
        name = _fresh(f"{node.output[0]}.bias", taken)
        values = np.zeros(layer.columns.channels, dtype=weight.values().dtype)
        del node.input[2:]
        node.input.append(name)
        proto.graph.initializer.append(
            onnx.TensorProto(name=name, dims=[layer.columns.channels], data_type=weight.data_type)
        )
        added[name] = Constant(name, values.shape, weight.data_type, _reader(values))
    return replace(model, proto=proto, constants=model.constants.with_changes(added))


def _finished(plain: Model, biased: Model, changed: Mapping[str, Constant]) -> Model:
    """The result: only those biases are added that a fit has filled."""
    new = {name: constant for name, constant in changed.items() if name not in plain.constants}
    proto = onnx.ModelProto()
    proto.CopyFrom(plain.proto)
    by_output = {node.output[0]: node for node in biased.proto.graph.node}
    for node in proto.graph.node:
        twin = by_output[node.output[0]] if node.output else node
        if len(twin.input) > 2 and twin.input[2] in new:
            del node.input[:]
            node.input.extend(twin.input)
    proto.graph.initializer.extend(t for t in biased.proto.graph.initializer if t.name in new)
    return replace(plain, proto=proto, constants=plain.constants.with_changes(dict(changed)))


def _left_notes(left: list[Left]) -> Iterator[str]:
    for reason in dict.fromkeys(own.reason for own in left):
        names = [own.layer for own in left if own.reason == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"not repaired: {', '.join(names[:3])}{more}: {reason}"


def _fresh(wanted: str, taken: set[str]) -> str:
    name, n = wanted, 2
    while name in taken:
        name, n = f"{wanted}.{n}", n + 1
    taken.add(name)
    return name


def _reader(values: Array) -> Any:
    return lambda: values
