"""The repair methods by the name that a user types; a new one is a file and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from onnxprune.calibration import Samples
from onnxprune.coupling import Coupling
from onnxprune.coupling.groups import Indices
from onnxprune.criteria.registry import choose
from onnxprune.errors import InputError, UsageError
from onnxprune.execution import Refusal
from onnxprune.repair.compensation import bias, merge
from onnxprune.repair.method import Method, Repaired, RepairOptions
from onnxprune.repair.reconstruct import lstsq, obs
from onnxprune.surgery import Cut

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "bias": Method(bias, strength=1),
        "merge": Method(merge, strength=2),
        "obs": Method(obs, strength=3, needs_samples=True),
        "lstsq": Method(lstsq, strength=4, needs_samples=True),
    }
)
"""By name. ``none`` and ``auto`` are no methods: they leave the cut alone, or choose one of these."""

NONE = "none"
AUTO = "auto"


def check_method(name: str, *, samples: bool) -> None:
    """See that a method exists and can work.

    Args:
        name: ``none``, ``auto`` or a key of ``METHODS``.
        samples: whether there are calibration data.

    Raises:
        UsageError: there is no such method, or it needs data and there are none.
    """
    choose("repair", name, {NONE: None, AUTO: None, **METHODS})
    if name in METHODS and METHODS[name].needs_samples and not samples:
        raise UsageError(
            f"--repair {name} looks at what the channels do on data, and there are none.",
            hint="Add --data; --repair merge and --repair bias work without.",
        )


def choose_method(name: str, *, samples: bool) -> str:
    """The method that a spelling stands for: a key of ``METHODS``, or ``none``.

    Args:
        name: ``none``, ``auto`` or a key of ``METHODS``.
        samples: whether there are calibration data.

    Raises:
        UsageError: there is no such method, or it needs data and there are none.
    """
    check_method(name, samples=samples)
    if name != AUTO:
        return name
    able = [own for own, method in METHODS.items() if samples or not method.needs_samples]
    return max(able, key=lambda own: METHODS[own].strength)


def repair_cut(
    coupling: Coupling,
    cut: Cut,
    kept: Mapping[str, Indices],
    method: str = AUTO,
    *,
    samples: Samples | None = None,
    options: RepairOptions = RepairOptions(),  # noqa: B008  frozen
) -> Repaired:
    """Let the weights that are left make up for those that went.

    Args:
        coupling: of the source.
        cut: what ``apply(coupling, kept)`` made; it stays as it is.
        kept: group -> ascending units that stay.
        method: a key of ``METHODS``, or ``auto``.
        samples: calibration data, where there are any.
        options: seed and threads.

    Raises:
        UsageError: there is no such method, or it needs samples.
        InputError: the model does not run on the samples.
    """
    chosen = choose_method(method, samples=samples is not None)
    try:
        return METHODS[chosen].run(coupling, cut, kept, samples, options)
    except Refusal as exc:
        raise InputError(
            f"--repair {chosen}: the model does not run on the samples: {exc}.",
            hint="Check that --data and --preprocess give each input its shape and type.",
        ) from exc
