"""Whether training was worth it: the best epoch against the model as it was given.

The samples that are held back are usually some that the source was trained on, as a pruned model is tuned on
the data of its source. The start then knows them, and the epochs, which are not trained on them, forget: a
better model looks worse. So where such samples speak for the start, samples that are trained on are asked
too. They were new to neither side. Only samples that the user names for validation are taken at their word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from onnxprune.training.result import Epoch
from onnxprune.training.validation import Validator, spelled_metric

State = Mapping[str, Tensor]


_NOT_BETTER = "no epoch was better than the start, which is returned as it was"


class Verdict(NamedTuple):
    """What is returned.

    Attributes:
        best: the epoch whose weights it has, 0 for the start.
        note: what the user should know, empty for nothing.
    """

    best: int
    note: str = ""


def judge(
    history: Sequence[Epoch],
    best: int,
    states: tuple[State, State],
    module: nn.Module,
    seen: Validator | None,
) -> Verdict:
    """Take the best epoch or the start.

    Args:
        history: the start and all epochs.
        best: the best epoch, 0 where none ended well.
        states: weights of the start and of that epoch.
        module: to load them into; left with the weights of one of them.
        seen: measures on samples that are trained on; None where the validation data are the user's own.
    """
    if not best:
        return Verdict(0, "no epoch ended well; the model is returned as it was" if len(history) > 1 else "")
    start, found = history[0], history[best]
    if (found.metric, -found.validation_loss) > (start.metric, -start.validation_loss):
        return Verdict(best)
    if seen is None:
        return Verdict(0, _NOT_BETTER)
    before, after = (_measured(module, state, seen) for state in states)
    if after <= before:
        return Verdict(0, _NOT_BETTER)
    first, last = (spelled_metric(seen.metric, epoch.metric) for epoch in (start, found))
    return Verdict(
        best,
        f"on the samples held back the start has {first} and epoch {best} {last}; on those trained on the "
        "epoch is ahead. A source that was trained on all of them explains this: measure both on other "
        "samples, or name such with --validation-data",
    )


def _measured(module: nn.Module, state: State, seen: Validator) -> tuple[float, float]:
    module.load_state_dict(state)
    metric, loss = seen(module)
    return metric, -loss
