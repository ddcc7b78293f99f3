"""Follows the branch that an If takes whatever the data is, as exporters guard a squeeze."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxprune.coupling.rules import RULES
from onnxprune.coupling.site import Site, Unfollowable
from onnxprune.model.trace import branch_taken

if TYPE_CHECKING:
    from onnxprune.coupling.engine import Engine


def follow_branch(engine: Engine, site: Site) -> None:
    """Couple the results of an If with what its one possible branch computes.

    Surgery does not edit sub-graphs, so only operators that need no mending are followed there, and
    no weights.

    Raises:
        Unfollowable: the data decides, or the branch holds something else.
    """
    fixed = site.value(0) is not None and engine.is_fixed(site, "", 0)
    taken = branch_taken(site.node, site.value(0)) if fixed else None
    if taken is None:
        raise Unfollowable("which branch it takes depends on the data")
    for node in taken.node:
        if node.op_type == "Constant" or all(name in engine.traces.first.values for name in node.output):
            continue
        rule = RULES.get(node.domain, node.op_type)
        if rule is None or rule.fix is not None or any(name in engine.model.constants for name in node.input):
            raise Unfollowable(f"its branch holds {node.op_type}, which is not followed there")
        inner = Site(node, site.index, engine)
        for name, axes in zip(node.output, rule.couple(inner), strict=False):
            engine.axes[name] = axes
        engine.set_clean(node.output, rule.clean(inner))
    if site.index in engine.statistics:
        raise Unfollowable("its branch takes a statistic")
    for name, value in zip(site.node.output, taken.output, strict=True):
        engine.axes[name] = engine.axes_by_name(value.name)
        engine.set_clean([name], engine.is_clean(value.name))
