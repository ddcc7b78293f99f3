"""From options to the settings of a run: texts that need parsing are parsed here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprune.cli.options import CheckOptions, CriterionOptions, ScopeOptions, TargetOptions

if TYPE_CHECKING:
    from onnxprune.api import Settings


def settings(
    target: TargetOptions,
    criterion: CriterionOptions,
    scope: ScopeOptions,
    checks: CheckOptions | None = None,
) -> Settings:
    """The options as the settings of a run; texts that need parsing are parsed."""
    from onnxprune.api import Settings
    from onnxprune.criteria import criterion as parse_criterion
    from onnxprune.plan import parse_layer_ratio

    voting = {"reduction": criterion.reduction, "normalizer": criterion.normalizer}
    if ":" in criterion.criterion:
        import_from_here()
    checks = checks or CheckOptions()
    return Settings(
        ratio=target.ratio,
        macs=target.macs,
        params=target.params,
        size=target.size,
        criterion=parse_criterion(criterion.criterion, **{k: v for k, v in voting.items() if v is not None}),
        scoring=criterion.scoring,
        scope=scope.scope,
        align=scope.align,
        include=tuple(scope.include or ()),
        exclude=tuple(scope.exclude or ()),
        granularity=scope.granularity,
        layer_ratios=tuple(map(parse_layer_ratio, scope.layer_ratio or ())),
        seed=scope.seed,
        verify=checks.verify,
        strict=checks.strict,
        threads=checks.threads,
    )


def import_from_here() -> None:
    """Let ``package.module:function`` mean a file in the current folder, as ``python -m`` does."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
