"""Operators that work on each element alone: all operands share their axes."""

from __future__ import annotations

from onnxprune.coupling.groups import Role
from onnxprune.coupling.matching import broadcast
from onnxprune.coupling.registry import RULES, all_operands, any_operand, as_first, never
from onnxprune.coupling.site import Axes, Site, Unfollowable

ZERO_TO_ZERO = (
    "Abs Asin Asinh Atan Atanh Ceil Celu Cast CastLike Elu Erf Floor Gelu HardSwish Identity "
    "IsInf IsNaN LeakyRelu Mish Neg Relu Round Selu Shrink Sign Sin Sinh Softsign Sqrt Swish Tan Tanh "
    "ThresholdedRelu Dropout"
).split()
ZERO_TO_OTHER = ["Acos", "Acosh", "Cos", "Cosh", "Exp", "HardSigmoid", "Not", "Sigmoid", "Softplus"]
ZERO_TO_INFINITY = ["Log", "Reciprocal"]
COMPARISONS = (
    "And BitShift BitwiseAnd BitwiseOr BitwiseXor Equal Greater GreaterOrEqual Less LessOrEqual Max Min Or "
    "Xor"
).split()


def unary(site: Site) -> list[Axes]:
    """``... -> ...`` for each output (Dropout has a mask beside the values)."""
    return [list(site.axes(0)) for name in site.node.output if name]


def together(site: Site) -> list[Axes]:
    """``..., ... -> ...`` with NumPy broadcasting."""
    operands = [axes for axes in site.all_axes() if axes is not None]
    return [broadcast(site.labels, operands)]


RULES.add(*ZERO_TO_ZERO)(unary)
RULES.add(*ZERO_TO_OTHER, clean=never)(unary)


def _lets_zero_through(site: Site) -> bool:
    low = site.attribute("min", site.engine.scalar(site.node.input[1]) if site.has(1) else None)
    high = site.attribute("max", site.engine.scalar(site.node.input[2]) if site.has(2) else None)
    return site.clean(0) and (low is None or low <= 0) and (high is None or high >= 0)


@RULES.add("Clip", clean=_lets_zero_through)
def clip(site: Site) -> list[Axes]:
    """Bounds are scalars; a lower bound above zero would not keep zeros."""
    return [list(site.axes(0))]


@RULES.add(*ZERO_TO_INFINITY, clean=never)
def pole_at_zero(site: Site) -> list[Axes]:
    """Removed channels are zero in the masked source, where these operators have a pole."""
    if site.clean(0):
        for axis in site.axes(0):
            site.labels.pin(axis, f"{site.node.op_type} has a pole at zero")
    return [list(site.axes(0))]


RULES.add("Add", "Sub", "Sum", "Mean", clean=all_operands)(together)
RULES.add("Mul", clean=any_operand)(together)
RULES.add(*COMPARISONS, "Where", clean=all_operands)(together)
RULES.add("Mod", clean=never)(together)


@RULES.add("Div", clean=as_first)
def divide(site: Site) -> list[Axes]:
    """A divisor computed from removed channels would be zero; a constant one is masked by one."""
    if site.node.input[1] not in site.engine.model.constants and site.clean(1):
        for axis in site.axes(1):
            site.labels.pin(axis, "it divides")
    return together(site)


def _lone_exponent(site: Site) -> bool:
    """Zero to the power of a masked exponent is one."""
    return site.clean(0) and all(len(axis) == 1 for axis in site.axes(1))


RULES.add("Pow", clean=_lone_exponent)(together)


@RULES.add("PRelu", clean=as_first)
def parametric_relu(site: Site) -> list[Axes]:
    """``n c ..., c 1 ... -> n c ...``: the slope broadcasts against the data."""
    site.role(1, Role.OTHER)
    return together(site)


@RULES.add("LRN", clean=as_first)
def across_channels(site: Site) -> list[Axes]:
    """Every channel sees its neighbours, so a cut would change the others."""
    site.labels.pin(site.axes(0)[1], "LRN mixes neighbouring channels")
    return [list(site.axes(0))]


@RULES.add("CumSum", clean=as_first)
def running_sum(site: Site) -> list[Axes]:
    """The summed axis stays whole: removed indices would pass on the sum before them."""
    axis = site.value(1)
    if axis is None:
        raise Unfollowable("its axis is computed from data")
    site.labels.pin(site.axes(0)[int(axis.reshape(-1)[0])], "CumSum runs along it")
    return [list(site.axes(0))]


@RULES.add("Trilu", clean=as_first)
def triangle(site: Site) -> list[Axes]:
    """The last two axes are compared by position."""
    for axis in site.axes(0)[-2:]:
        site.labels.pin(axis, "Trilu compares positions along it")
    return [list(site.axes(0))]


@RULES.add("Softmax", "LogSoftmax", "Hardmax", clean=never)
def softmax(site: Site) -> list[Axes]:
    """The normalised axes stay whole: removed channels would still have a share.

    Before opset 13 everything from ``axis`` on is normalised together.
    """
    axes = site.axes(0)
    old = site.opset < 13
    axis = int(site.attribute("axis", 1 if old else -1)) % len(axes)
    for normalised in axes[axis:] if old else axes[axis : axis + 1]:
        site.labels.pin(normalised, f"{site.node.op_type} normalises over it")
    return [list(axes)]
