"""The table of rules: one entry an operator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onnxprune.coupling.site import Axes, Site

if TYPE_CHECKING:
    from onnxprune.coupling.edits import Editor

Couple = Callable[[Site], list[Axes]]
"""States how the axes hang together; returns the axes of every output."""

Fix = Callable[[Site, "Editor"], None]
"""Re-derives attributes and shape operands from what is left of the axes."""

Clean = Callable[[Site], bool]
"""Whether the outputs are exactly zero at removed indices, given that of the inputs."""


@dataclass(frozen=True)
class Rule:
    """What the engine knows of an operator."""

    couple: Couple
    fix: Fix | None
    clean: Clean


# Where zeros go.


def always(site: Site) -> bool:
    """Removed outputs are zero: every path to them has weights that are masked."""
    return True


def never(site: Site) -> bool:
    """Zero in does not mean zero out."""
    return False


def as_first(site: Site) -> bool:
    """As the first input."""
    return site.clean(0)


def any_operand(site: Site) -> bool:
    """A product is zero where one factor is."""
    return any(site.clean(i) and _covers(site, i) for i in range(len(site.node.input)) if site.has(i))


def all_operands(site: Site) -> bool:
    """A sum is zero where all terms are; a broadcast term has no zeros of its own."""
    return all(site.clean(i) and _covers(site, i) for i in range(len(site.node.input)) if site.has(i))


def every_input(site: Site) -> bool:
    """As all inputs together, whatever their shapes."""
    return all(site.clean(i) for i in range(len(site.node.input)) if site.has(i))


def unless_statistic(site: Site) -> bool:
    """Zeros leave zero once a mean over kept and removed indices was taken from them."""
    return not any(site.labels.is_free(axis) for axis in site.engine.statistics.get(site.index, ()))


def _covers(site: Site, i: int) -> bool:
    """Whether input ``i`` has every axis of the output that can be cut at full length."""
    axes = site.axes(i)
    out = site.out_shape()
    rank = len(out)
    for k, axis in enumerate(site.engine.axes.get(site.node.output[0], [])):
        if site.labels.is_free(axis):
            position = k - rank + len(axes)
            if position < 0 or len(axes[position]) != out[k]:
                return False
    return True


class Registry:
    """Rules by (domain, operator type)."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], Rule] = {}

    def add(
        self, *ops: str, clean: Clean = as_first, fix: Fix | None = None, domain: str = ""
    ) -> Callable[[Couple], Couple]:
        """Decorator that registers a coupling function for operators; duplicates raise."""

        def decorate(couple: Couple) -> Couple:
            for op in ops:
                if (domain, op) in self._rules:
                    raise ValueError(f"there is a rule for {domain or 'ai.onnx'}.{op} already")
                self._rules[domain, op] = Rule(couple, fix, clean)
            return couple

        return decorate

    def get(self, domain: str, op: str) -> Rule | None:
        """The rule of an operator, None where the operator is a barrier."""
        return self._rules.get(("" if domain == "ai.onnx" else domain, op))

    def operators(self) -> list[tuple[str, str]]:
        """All (domain, operator type) with a rule, sorted."""
        return sorted(self._rules)


RULES = Registry()
