"""Structured pruning of ONNX models: smaller and faster files, proved equal to the masked source.

``prune`` does the whole job. Its pieces are public too and meet in this order::

    coupling = couple(load_model("model.onnx"))
    scores = score_groups(coupling.structure, coupling.model.constants, criterion("l1"))
    plan = make_plan(coupling.structure, scores, PlanOptions(parse_ratio(0.4)))
    cut = apply(coupling, plan.kept)
    save_model(cut.model, Path("small.onnx"))

Names are imported when they are first used, so that ``import onnxprune`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxprune.errors import (
    InputError,
    MissingExtraError,
    OnnxPruneError,
    OutputError,
    TargetError,
    UsageError,
    VerificationError,
)

if TYPE_CHECKING:
    from onnxprune.api import PruneResult, VerifyResult, convert, inspect, prune, verify
    from onnxprune.api.benchmarking import benchmark
    from onnxprune.api.evaluation import Comparison, compare, evaluate
    from onnxprune.api.finetuning import FinetuneResult, finetune
    from onnxprune.api.quantizing import QuantizeResult, quantize
    from onnxprune.api.scanning import measure_sensitivity
    from onnxprune.api.sweeping import run_sweep
    from onnxprune.calibration import ArraySamples, Batch, Evidence, Samples, open_samples
    from onnxprune.coupling import Coupling, couple
    from onnxprune.criteria import Criterion, criterion, register, score_groups
    from onnxprune.evaluation import Evaluation
    from onnxprune.model import Model, load_model, save_model
    from onnxprune.plan import (
        Plan,
        PlanOptions,
        make_plan,
        parse_macs,
        parse_params,
        parse_ratio,
        parse_size,
    )
    from onnxprune.reconstruction.evidence import gather
    from onnxprune.repair import Repaired, clean_up, repair_cut
    from onnxprune.report import Report
    from onnxprune.report.files import write_report
    from onnxprune.report.inspection import Inspection
    from onnxprune.runtime.results import Benchmark
    from onnxprune.sensitivity import Sensitivity
    from onnxprune.surgery import Cut, apply, flush_denormals
    from onnxprune.sweep.document import Sweep
    from onnxprune.torch_graph import to_torch, write_back
    from onnxprune.verification import masked_equivalence, recheck

__version__ = "0.1.0"

__all__ = [
    "ArraySamples",
    "Batch",
    "Benchmark",
    "Comparison",
    "Coupling",
    "Criterion",
    "Cut",
    "Evaluation",
    "Evidence",
    "FinetuneResult",
    "InputError",
    "Inspection",
    "MissingExtraError",
    "Model",
    "OnnxPruneError",
    "OutputError",
    "Plan",
    "PlanOptions",
    "PruneResult",
    "QuantizeResult",
    "Repaired",
    "Report",
    "Samples",
    "Sensitivity",
    "Sweep",
    "TargetError",
    "UsageError",
    "VerificationError",
    "VerifyResult",
    "apply",
    "benchmark",
    "clean_up",
    "compare",
    "convert",
    "couple",
    "criterion",
    "evaluate",
    "finetune",
    "flush_denormals",
    "gather",
    "inspect",
    "load_model",
    "make_plan",
    "masked_equivalence",
    "measure_sensitivity",
    "open_samples",
    "parse_macs",
    "parse_params",
    "parse_ratio",
    "parse_size",
    "prune",
    "quantize",
    "recheck",
    "register",
    "repair_cut",
    "run_sweep",
    "save_model",
    "score_groups",
    "to_torch",
    "verify",
    "write_back",
    "write_report",
]

_HOMES = {
    "onnxprune.api": ("PruneResult", "VerifyResult", "convert", "inspect", "prune", "verify"),
    "onnxprune.api.benchmarking": ("benchmark",),
    "onnxprune.api.evaluation": ("Comparison", "compare", "evaluate"),
    "onnxprune.api.finetuning": ("FinetuneResult", "finetune"),
    "onnxprune.api.quantizing": ("QuantizeResult", "quantize"),
    "onnxprune.api.scanning": ("measure_sensitivity",),
    "onnxprune.api.sweeping": ("run_sweep",),
    "onnxprune.calibration": ("ArraySamples", "Batch", "Evidence", "Samples", "open_samples"),
    "onnxprune.coupling": ("Coupling", "couple"),
    "onnxprune.criteria": ("Criterion", "criterion", "register", "score_groups"),
    "onnxprune.evaluation": ("Evaluation",),
    "onnxprune.model": ("Model", "load_model", "save_model"),
    "onnxprune.plan": (
        "Plan",
        "PlanOptions",
        "make_plan",
        "parse_macs",
        "parse_params",
        "parse_ratio",
        "parse_size",
    ),
    "onnxprune.reconstruction.evidence": ("gather",),
    "onnxprune.repair": ("Repaired", "clean_up", "repair_cut"),
    "onnxprune.report": ("Report",),
    "onnxprune.report.files": ("write_report",),
    "onnxprune.report.inspection": ("Inspection",),
    "onnxprune.sensitivity": ("Sensitivity",),
    "onnxprune.runtime.results": ("Benchmark",),
    "onnxprune.surgery": ("Cut", "apply", "flush_denormals"),
    "onnxprune.sweep.document": ("Sweep",),
    "onnxprune.torch_graph": ("to_torch", "write_back"),
    "onnxprune.verification": ("masked_equivalence", "recheck"),
}
"""Where each public name is defined; the errors, which cost nothing, are here already."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'onnxprune' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
