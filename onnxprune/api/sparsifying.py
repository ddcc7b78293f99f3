"""From a plan to what is left of the model: training that prepares it, then the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from onnxprune.api.holding import Shares
from onnxprune.api.job import Job
from onnxprune.api.outcomes import Outcome
from onnxprune.api.planning import Planned, Step, plan_model
from onnxprune.api.retraining import Trainer, open_run, open_trainer
from onnxprune.api.run_store import Store
from onnxprune.api.stepping import Walk
from onnxprune.api.training_settings import SPARSITY_EPOCHS
from onnxprune.coupling import couple
from onnxprune.model import Model

CHOOSES = frozenset({"group_lasso"})
"""Methods by whose training it is decided anew how many units every group loses."""


def carried_out(planned: Planned, job: Job, counted: Job, shares: Shares, step: Step) -> Outcome:
    """Carry a plan out: train for sparsity, then cut, repair and train, in one step or several.

    Args:
        planned: on the source.
        job: of the run.
        counted: the same with counts for its target, where one had to be searched for.
        shares: samples by what they are for.
        step: told the name of each step.

    Raises:
        OnnxPruneError: of the kinds that ``prune`` names.
        Stopped: a signal has stopped training.
    """
    source = planned.coupling.model
    own = job.settings
    store, trainer = Store(), None
    if planned.plan.kept:
        store = open_run(job, source, shares)
        trainer = open_trainer(job, source, shares, store, step)
    if own.sparsity is None or trainer is None:
        return Walk(planned, job, shares, step, trainer, store).run(source)
    start, account = _sparsified(planned, job, trainer, step)
    if own.sparsity in CHOOSES:
        coupling = couple(start, granularity=own.factor)
        found = plan_model(coupling, counted, step, samples=shares.fitting)
        planned = replace(found, coupling=planned.coupling, notes=(*planned.notes, *found.notes))
    outcome = Walk(planned, job, shares, step, trainer, store).run(start)
    return replace(outcome, training=(account, *outcome.training))


def _sparsified(planned: Planned, job: Job, trainer: Trainer, step: Step) -> tuple[Model, Mapping[str, Any]]:
    """The source trained with a penalty on what the plan would cut."""
    from onnxprune.training.sparsity import make_penalty

    own = job.settings
    constants = planned.coupling.model.constants
    penalty = make_penalty(
        str(own.sparsity),
        planned.coupling.structure,
        planned.plan.kept,
        {name: tuple(constant.shape) for name, constant in constants.items()},
        strength=own.sparsity_strength,
    )
    epochs = SPARSITY_EPOCHS if own.sparsity_epochs is None else own.sparsity_epochs
    settings = replace(trainer.settings, epochs=epochs, ema=0.0, swa=0.0)
    return trainer(planned.coupling.model, "sparsity", step, settings=settings, penalty=penalty)
