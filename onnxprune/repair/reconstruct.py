"""Least-squares reconstruction: every layer behind a cut is fitted to what it gave before.

``lstsq`` walks the pruned model in the order of execution. The inputs of a fit come from the pruned model
with all earlier layers repaired, its targets from the source; where a layer's output meets a shortcut, the
target is moved by what the shortcut has drifted. He et al. 2017 (arXiv 1707.06168), Luo et al. 2017
(arXiv 1707.06342). ``obs`` fits each layer to the source's own inputs, so that it needs one run only: it
is the update of Optimal Brain Surgeon for all removed columns at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxprune.calibration import Samples
from onnxprune.coupling import Coupling
from onnxprune.coupling.coupling import Survivors
from onnxprune.coupling.groups import Indices
from onnxprune.model.constants import Array, Constant
from onnxprune.reconstruction.collecting import Picker, collect, in_batches
from onnxprune.reconstruction.fit import KEPT, Fit, fit
from onnxprune.reconstruction.layers import Left, LinearLayer, find_layers
from onnxprune.reconstruction.stages import Stages, Stored
from onnxprune.repair.added_bias import with_biases, without_idle
from onnxprune.repair.method import Repaired, RepairOptions
from onnxprune.surgery import Cut

FAINT = 1e-6
"""Channels that are scaled down by more than this on their way to a sum cannot make up for its drift."""


UNLIKE = "its values cannot be matched with those of the source, as heads and samples share an axis"


class _UnlikeError(Exception):
    """A value of the source cannot be cut down to that of the pruned model."""


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
        UsageError: the model takes a fixed number of samples at a time, and there are fewer.
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
        UsageError: the model takes a fixed number of samples at a time, and there are fewer.
    """
    assert samples is not None
    return _Parallel(coupling, cut, samples, options).run()


class _Reconstruction:
    def __init__(self, coupling: Coupling, cut: Cut, samples: Samples, options: RepairOptions) -> None:
        self.coupling = coupling
        self.survivors: Survivors = cut.survivors
        self.options = options
        self.cut = cut
        self.biases = with_biases(cut.model)
        self.samples, self.batch = in_batches(coupling, samples)
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
        for done, plan in enumerate(self.plans):
            if self.options.advance is not None:
                self.options.advance(done, len(self.plans))
            try:
                self._apply(plan.layer, self._fitted(plan))
            except _UnlikeError:
                self.left.append(Left(plan.layer.name, UNLIKE))
        return Repaired(
            model=without_idle(self.cut.model, self.biases, self.changed),
            layers=tuple(self.rows),
            figures={"samples": self.samples.count, "layers": len({r["layer"] for r in self.rows})},
            notes=tuple(_left_notes(self.left)),
        )

    def _fitted(self, plan: _Plan) -> Fit:
        raise NotImplementedError

    def _fit(self, layer: LinearLayer, inputs: Stored, targets: Iterator[Array]) -> Fit:
        columns = layer.columns
        picker = Picker(layer.name, self.options.seed, columns, len(inputs))
        weight = columns.pack(self._values(layer.weight))
        bias = self._values(layer.bias) if layer.bias else np.zeros(columns.channels)
        bias = bias.reshape(columns.groups, -1)
        own, held = collect(columns, picker, inputs, targets, (weight, bias))
        # what counts is the error in the sum, where there is one
        factor = np.ones(1) if layer.meeting is None else layer.meeting.factor
        prices = np.broadcast_to(factor**2, (columns.channels,)).reshape(columns.groups, -1)
        return fit(own, held, weight, bias, centred=bool(layer.bias), prices=prices)

    def _apply(self, layer: LinearLayer, found: Fit) -> None:
        if found.choice == KEPT:
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
        """A value of the source without what was removed from it.

        Raises:
            _UnlikeError: something was removed along an axis whose size is open.
        """
        for axis, labels in enumerate(self.coupling.engine.axes[name]):
            mask = self.survivors.mask(labels)
            if mask.all():
                continue
            if len(mask) != values.shape[axis]:
                raise _UnlikeError
            values = np.compress(mask, values, axis=axis)
        return values


class _Parallel(_Reconstruction):
    """Every layer by itself."""

    def __init__(self, coupling: Coupling, cut: Cut, samples: Samples, options: RepairOptions) -> None:
        super().__init__(coupling, cut, samples, options)
        wanted = [name for plan in self.plans for name in (plan.layer.source, plan.layer.result)]
        self.stages = Stages(
            coupling.model, self.samples, batch=self.batch, wanted=wanted, threads=options.threads
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
        self.dense = Stages(coupling.model, self.samples, wanted=[*dense, *others], **settings)
        self.pruned = Stages(self.biases, self.samples, wanted=[*pruned, *others], **settings)
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


def _left_notes(left: list[Left]) -> Iterator[str]:
    for reason in dict.fromkeys(own.reason for own in left):
        names = [own.layer for own in left if own.reason == reason]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"not repaired: {', '.join(names[:3])}{more}: {reason}"
