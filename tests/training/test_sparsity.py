"""Penalties on whole units."""

from __future__ import annotations

import numpy as np
import pytest
from small_tasks import samples, source

from onnxprune.coupling import Coupling, couple
from onnxprune.coupling.groups import Floats
from onnxprune.model import Model
from onnxprune.training import TrainSettings, train
from onnxprune.training.sparsity import make_penalty

KEPT = {"conv1": np.arange(16), "conv2": np.arange(20, 64)}
SETTINGS = TrainSettings(epochs=3, batch=32, lr=0.005, ema=0.0, weight_decay=0.0, warmup=0.0, threads=1)


@pytest.fixture(scope="module")
def coupling() -> Coupling:
    return couple(source())


def norms(model: Model, coupling: Coupling, name: str) -> Floats:
    """Of the filters of each unit, (units,)."""
    (own,) = coupling.structure.by_name()[name].filters()
    return np.asarray(
        np.linalg.norm(model.constants[own.constant].values().reshape(len(own.units), -1), axis=1)
    )


def trained(coupling: Coupling, kind: str, strength: float, *, batch_norm: bool) -> Model:
    sizes = {name: tuple(own.shape) for name, own in coupling.model.constants.items()}
    penalty = make_penalty(kind, coupling.structure, KEPT, sizes, strength=strength)
    own = TrainSettings(**{**SETTINGS.to_dict(), "batch_norm": batch_norm})
    found = train(source(), samples(128), own, teacher=source(), penalty=penalty)
    assert found.best == len(found.history) - 1
    assert found.account["penalty"]["method"] == kind
    return found.model


@pytest.mark.parametrize("batch_norm", [True, False])
def test_growing_shrinks_what_is_to_go_and_nothing_else(coupling: Coupling, *, batch_norm: bool) -> None:
    model = trained(coupling, "growing", 100.0, batch_norm=batch_norm)
    for name, kept in KEPT.items():
        left = norms(model, coupling, name) / norms(source(), coupling, name)
        gone = np.delete(left, kept)
        assert gone.max() < 0.5 * left[kept].min()


def test_group_lasso_shrinks_units_of_all_groups_that_are_cut(coupling: Coupling) -> None:
    plain, sparse = (trained(coupling, "group_lasso", s, batch_norm=False) for s in (0.0, 0.5))
    for name in KEPT:
        assert norms(sparse, coupling, name).mean() < 0.98 * norms(plain, coupling, name).mean()


def test_the_penalty_is_the_sum_over_units_of_all_their_weights(coupling: Coupling) -> None:
    from onnxprune.torch_graph import to_torch

    model = coupling.model
    values = {name: np.asarray(own.values(), np.float64) for name, own in model.constants.items()}
    sizes = {name: own.shape for name, own in values.items()}
    module = to_torch(model)
    squares = (values["conv1.weight"] ** 2).sum((1, 2, 3)) + values["conv1.bias"] ** 2
    squares += (values["conv2.weight"] ** 2).sum((0, 2, 3))
    weights = 3 * 9 + 1 + 64 * 9
    kept = {"conv1": np.arange(16)}
    lasso = make_penalty("group_lasso", coupling.structure, kept, sizes, strength=2.0)
    assert lasso(module, 0, 10).item() == pytest.approx(2 * np.sqrt(weights * squares).sum(), rel=1e-5)
    growing = make_penalty("growing", coupling.structure, kept, sizes, strength=2.0)
    assert growing(module, 0, 8).item() == 0
    half, whole = (growing(module, step, 8).item() for step in (3, 7))
    assert whole == pytest.approx(squares[16:].sum(), rel=1e-5)
    assert half == pytest.approx(whole / 2)
