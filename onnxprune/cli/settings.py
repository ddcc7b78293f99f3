"""From options to the settings of a run: texts that need parsing are parsed here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprune.cli.accuracy_options import AccuracyOptions
from onnxprune.cli.options import (
    CheckOptions,
    CriterionOptions,
    DataOptions,
    ScopeOptions,
    TargetOptions,
)
from onnxprune.cli.quantize_options import QuantizeOptions
from onnxprune.cli.repair_options import RepairOptions

if TYPE_CHECKING:
    from onnxprune.api import Settings


def settings(
    target: TargetOptions,
    criterion: CriterionOptions,
    scope: ScopeOptions,
    data: DataOptions,
    checks: CheckOptions | None = None,
    repair: RepairOptions | None = None,
    accuracy: AccuracyOptions | None = None,
    quantization: QuantizeOptions | None = None,
) -> Settings:
    """The options as the settings of a run; texts that need parsing are parsed."""
    from onnxprune.api import Settings
    from onnxprune.criteria import criterion as parse_criterion
    from onnxprune.plan import parse_layer_ratio

    voting = {"reduction": criterion.reduction, "normalizer": criterion.normalizer}
    usual = str(Settings(data=data.data).spec)
    specs = (criterion.criterion or usual, *(criterion.then or ()))
    if any(":" in spec for spec in (*specs, data.data or "")):
        import_from_here()
    chosen = {key: value for key, value in voting.items() if value is not None}
    first, *rest = (parse_criterion(spec, **chosen) for spec in specs)
    checks, accuracy = checks or CheckOptions(), accuracy or AccuracyOptions()
    return Settings(
        ratio=target.ratio,
        macs=target.macs,
        params=target.params,
        size=target.size,
        latency=target.latency,
        speedup=target.speedup,
        criterion=first,
        then=tuple(rest),
        scoring=criterion.scoring,
        scope=scope.scope,
        align=scope.align,
        include=tuple(scope.include or ()),
        exclude=tuple(scope.exclude or ()),
        granularity=scope.granularity,
        layer_ratios=tuple(map(parse_layer_ratio, scope.layer_ratio or ())),
        data=data.data,
        preprocess=data.preprocess,
        samples=data.samples,
        seed=scope.seed,
        verify=checks.verify,
        strict=checks.strict,
        bench=checks.bench,
        quantize=None if quantization is None else quantization.quantize,
        ranges="minmax" if quantization is None else quantization.ranges,
        threads=checks.threads,
        repair=None if repair is None else repair.repair,
        max_drop=accuracy.max_drop,
        metric=accuracy.metric,
        output_name=accuracy.output_name,
        holdout=accuracy.holdout,
        cache=_cache(target, accuracy),
    )


def _cache(target: TargetOptions, accuracy: AccuracyOptions) -> Path | None:
    """Where the figures of layers are kept that the target needs, if it needs any."""
    if target.latency is not None or target.speedup is not None:
        return cache_folder(accuracy.cache, "latency")
    return None if accuracy.max_drop is None else cache_folder(accuracy.cache)


def cache_folder(given: str | None, kind: str = "sensitivity") -> Path | None:
    """Where figures of layers are kept: in the folder given, in the user's own, or nowhere (``off``)."""
    from onnxprune.sensitivity.cache import default_folder

    if given == "off":
        return None
    return default_folder(kind) if given is None else Path(given)


def import_from_here() -> None:
    """Let ``package.module:function`` mean a file in the current folder, as ``python -m`` does."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
