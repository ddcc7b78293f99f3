"""What there is to try: lists of amounts, criteria, repairs and quantisations, and combinations of layers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import combinations, product
from typing import Any, Protocol

from onnxprune.errors import UsageError
from onnxprune.plan.targets import parse_share

NONE = "none"
"""No repair, or no quantisation."""

SOURCE = "source"
"""In place of a target: the model as it is."""

MOST_LAYERS = 10
"""Layers of which every combination may be tried: 1,023 of them."""

STEP = 0.01
"""Between two ratios that a sampler may choose."""

_UNSAFE = re.compile(r"[^A-Za-z0-9.+=_-]+")
_LONGEST_NAME = 100
_SPAN = re.compile(r"([0-9.]+):([0-9.]+)")


@dataclass(frozen=True)
class Config:
    """One way of pruning.

    Attributes:
        target: what the amount is of: ``ratio``, ``macs``, or ``source`` where nothing is pruned.
        amount: as the option of that name takes it.
        criterion: which channels go.
        repair: method, ``none`` for none.
        quantize: kind, ``none`` for none.
        layers: globs of the only layers that are pruned; empty for all.
    """

    target: str
    amount: str
    criterion: str
    repair: str
    quantize: str
    layers: tuple[str, ...] = ()

    @property
    def is_source(self) -> bool:
        """Whether nothing is pruned."""
        return self.target == SOURCE

    @property
    def key(self) -> str:
        """The whole of it as one text, equal for equal ways."""
        return json.dumps([self.target, self.amount, self.criterion, self.repair, self.quantize, self.layers])

    @property
    def pruned(self) -> str:
        """What is pruned by how much, in a few words."""
        if self.is_source:
            return SOURCE
        amount = f"{self.target} {self.amount}"
        return f"{' + '.join(self.layers)}, {amount}" if self.layers else amount

    @property
    def title(self) -> str:
        """All of it in a few words."""
        told = (self.criterion, self.repair, self.quantize)
        return " · ".join([self.pruned, *(text for text in told if text not in ("", NONE))])

    @property
    def name(self) -> str:
        """The same as the name of a file, without suffix."""
        parts = [self.target, self.amount, self.criterion, self.repair, self.quantize, "+".join(self.layers)]
        plain = "_".join(part for part in parts if part and part != NONE)
        safe = _UNSAFE.sub("-", plain)
        if safe == plain and len(safe) <= _LONGEST_NAME:
            return safe
        return f"{safe[:_LONGEST_NAME]}-{sha256(self.key.encode()).hexdigest()[:8]}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**own, "layers": list(self.layers)}


def from_key(key: str) -> Config:
    """The way of pruning that has this key."""
    target, amount, criterion, repair, quantize, layers = json.loads(key)
    return Config(target, amount, criterion, repair, quantize, tuple(layers))


def source_config(quantize: str) -> Config:
    """The model as it is, quantised or not."""
    return Config(SOURCE, "", "", NONE, quantize)


class Suggests(Protocol):
    """Whatever chooses among values; trials of Optuna do."""

    def suggest_categorical(self, name: str, choices: list[str]) -> Any:
        """One of them."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float) -> float:
        """A number between two."""


@dataclass(frozen=True)
class Space:
    """Everything that may be tried.

    Attributes:
        amounts: pairs of a target (``ratio``, ``macs``) and an amount of it.
        span: in place of amounts: the ratios from one to another, for samplers.
        criteria: which channels go.
        repairs: methods, ``none`` among them where wanted.
        quantize: kinds, ``none`` among them where wanted.
        layers: globs of layers of which every combination is pruned; empty to prune all.
    """

    amounts: tuple[tuple[str, str], ...]
    criteria: tuple[str, ...]
    repairs: tuple[str, ...]
    quantize: tuple[str, ...] = (NONE,)
    span: tuple[float, float] | None = None
    layers: tuple[str, ...] = ()

    def grid(self) -> Iterator[Config]:
        """All of it, neighbours sharing as many steps as possible.

        Raises:
            UsageError: the ratios are a span, of which there is no end.
        """
        if self.span is not None:
            raise UsageError(
                "A span of ratios has no grid.",
                hint="List the ratios, as 0.2,0.4,0.6, or let --trials N be sampled from the span.",
            )
        lists = (self._combinations(), self.amounts, self.criteria, self.repairs, self.quantize)
        for layers, (target, amount), criterion, repair, quantize in product(*lists):
            yield Config(target, amount, criterion, repair, quantize, layers)

    def sources(self) -> Iterator[Config]:
        """The model as it is, and its quantised copies: what the others are compared with."""
        for quantize in dict.fromkeys((NONE, *self.quantize)):
            yield source_config(quantize)

    def suggest(self, trial: Suggests) -> Config:
        """What a sampler chooses."""
        target, amount = self._amount(trial)
        combined = ["\n".join(layers) for layers in self._combinations()]
        chosen = str(_pick(trial, "layers", combined))
        return Config(
            target,
            amount,
            _pick(trial, "criterion", self.criteria),
            _pick(trial, "repair", self.repairs),
            _pick(trial, "quantize", self.quantize),
            tuple(chosen.split("\n")) if chosen else (),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "amounts": [list(pair) for pair in self.amounts],
            "span": None if self.span is None else list(self.span),
            "criteria": list(self.criteria),
            "repairs": list(self.repairs),
            "quantize": list(self.quantize),
            "layers": list(self.layers),
        }

    def _amount(self, trial: Suggests) -> tuple[str, str]:
        if self.span is not None:
            return "ratio", f"{trial.suggest_float('ratio', *self.span, step=STEP):g}"
        target, amount = _pick(trial, "amount", [" ".join(pair) for pair in self.amounts]).split(" ", 1)
        return target, amount

    def _combinations(self) -> list[tuple[str, ...]]:
        sizes = range(1, len(self.layers) + 1)
        return [own for size in sizes for own in combinations(self.layers, size)] or [()]


def _pick(trial: Suggests, name: str, choices: Iterable[str]) -> str:
    return str(trial.suggest_categorical(name, list(choices)))


def make_space(
    *,
    ratios: Iterable[str | float] | str = (),
    macs: Iterable[str] = (),
    criteria: Iterable[str],
    repairs: Iterable[str],
    quantize: Iterable[str],
    layers: Iterable[str] = (),
) -> Space:
    """A space from lists as users give them.

    Args:
        ratios: shares of filters, or ``"LOW:HIGH"`` for a span of them.
        macs: budgets, as ``--macs`` takes them.
        criteria: names with options and thresholds.
        repairs: names.
        quantize: kinds.
        layers: globs.

    Raises:
        UsageError: an empty list, a number out of range, or too many layers.
    """
    given = [ratios] if isinstance(ratios, str) else [str(ratio) for ratio in ratios]
    span = _span(given)
    shares = [] if span else sorted({parse_share(ratio, option="--ratios") for ratio in given})
    amounts = [("ratio", f"{share:g}") for share in shares if share]
    amounts += [("macs", text.strip()) for text in macs]
    if span and amounts:
        raise UsageError("A span of ratios goes with no other amounts.", hint="Leave --macs-list out.")
    if not (span or amounts):
        raise UsageError(
            "How much to prune is missing.", hint="Write it as --ratios 0.2,0.4 or --macs-list 0.6x,0.4x."
        )
    found = Space(
        tuple(amounts),
        _listed("--criteria", criteria),
        _listed("--repairs", repairs),
        _listed("--quantize", quantize),
        span,
        tuple(dict.fromkeys(layers)),
    )
    if len(found.layers) > MOST_LAYERS:
        raise UsageError(
            f"--layers names {len(found.layers)} layers, which have {2 ** len(found.layers) - 1:,} "
            "combinations.",
            hint=f"Name {MOST_LAYERS} at most; a glob may stand for several layers that go together.",
        )
    return found


def split_list(text: str) -> list[str]:
    """The entries of a list with commas; ``key=value`` belongs to the entry before it.

    Criteria have options behind commas: ``l2,reduction=max,l1`` are two.
    """
    found: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if found and "=" in part and ":" not in part.partition("=")[0]:
            found[-1] += f",{part}"
        elif part:
            found.append(part)
    return found


def _span(given: list[str]) -> tuple[float, float] | None:
    match = _SPAN.fullmatch(given[0].strip()) if len(given) == 1 else None
    if match is None:
        return None
    low, high = (parse_share(text, option="--ratios") for text in match.groups())
    if not low < high:
        raise UsageError(f"--ratios {given[0]} is no span.", hint="Write the smaller ratio first: 0.1:0.7.")
    return low, high


def _listed(option: str, given: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.strip() for text in given if text.strip()))
    if not found:
        raise UsageError(f"{option} names nothing.", hint="Leave it out for the usual.")
    return found


Outcome = Mapping[str, Any]
"""What became of a way of pruning, as JSON has it."""
