"""Least squares from moments and from rows, against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from onnxprune.reconstruction import collecting
from onnxprune.reconstruction.collecting import Picker, collect, rows_to_fit_by
from onnxprune.reconstruction.columns import COLUMNS
from onnxprune.reconstruction.fit import FITTED, KEPT, SHIFTED, fit
from onnxprune.reconstruction.moments import Moments
from onnxprune.reconstruction.rows import Rows

KINDS = {"moments": Moments, "rows": Rows}


def rng(seed=0):
    return np.random.default_rng(seed)


def gathered(kind, inputs, targets, weight, bias):
    """All rows at once; (rows, columns) and (groups, rows, columns) alike."""
    inputs, targets = (
        np.asarray(own if own.ndim == 3 else own[None], np.float32) for own in (inputs, targets)
    )
    lacking = targets - inputs @ weight.astype(np.float32) - bias[:, None].astype(np.float32)
    found = Rows() if kind == "rows" else Moments(inputs.shape[2], targets.shape[2], groups=len(inputs))
    found.add(inputs, targets, lacking)
    return found


def fitted(kind, inputs, targets, *, weight=None, bias=None, centred=True, held=None, prices=None):
    groups, columns = (1 if inputs.ndim == 2 else len(inputs)), inputs.shape[-1]
    weight = np.zeros((groups, columns, targets.shape[-1])) if weight is None else weight
    bias = np.zeros((groups, targets.shape[-1])) if bias is None else bias
    own = gathered(kind, inputs, targets, weight, bias)
    back = gathered(kind, *(held or (inputs, targets)), weight, bias)
    return fit(own, back, weight, bias, centred=centred, prices=prices)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_fit_is_that_of_plain_least_squares(kind, centred):
    inputs = rng().standard_normal((600, 5)) @ rng(1).standard_normal((5, 5)) + (3 if centred else 0)
    targets = inputs @ rng(2).standard_normal((5, 3)) + 0.1 * rng(3).standard_normal((600, 3))
    targets += 2 * centred
    found = fitted(kind, inputs, targets, centred=centred)
    design = np.c_[inputs, np.ones(600)] if centred else inputs
    wanted = np.linalg.lstsq(design, targets, rcond=None)[0]
    assert found.choice == FITTED
    assert found.weight[0] == pytest.approx(wanted[:5], abs=0.01)
    assert found.bias[0] == pytest.approx(wanted[5] if centred else np.zeros(3), abs=0.1)
    assert found.after < 0.1 * found.before


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_fitted_by_themselves(kind):
    inputs = rng().standard_normal((3, 400, 4)).astype(np.float32)
    weights = rng(1).standard_normal((3, 4, 2))
    found = fitted(kind, inputs, inputs @ weights + 1.5)
    assert found.weight == pytest.approx(weights, abs=1e-3)
    assert found.bias == pytest.approx(np.full((3, 2), 1.5), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fixed_constant_term_is_reckoned_with(kind):
    inputs = rng().uniform(1, 2, (500, 4))
    wanted = rng(1).standard_normal((1, 4, 2))
    bias = np.array([[3.0, -2.0]])
    found = fitted(kind, inputs, inputs @ wanted[0] + bias, bias=bias, centred=False)
    assert found.weight == pytest.approx(wanted, abs=0.02)
    assert np.array_equal(found.bias, bias)


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_not_fitted(kind):
    """Few rows and nothing to learn: the error on rows held back rules it out."""
    weight = rng(1).standard_normal((1, 40, 4))
    draw = lambda n, seed: rng(seed).standard_normal((n, 40))  # noqa: E731
    own, held = draw(50, 2), draw(200, 3)
    goal = [x @ weight[0] + rng(4 + i).standard_normal((len(x), 4)) for i, x in enumerate((own, held))]
    found = fitted(kind, own, goal[0], weight=weight, held=(held, goal[1]))
    assert found.choice == KEPT
    assert np.array_equal(found.weight, weight)
    assert found.after == found.before


@pytest.mark.parametrize("kind", KINDS)
def test_a_shift_alone_leaves_the_weights(kind):
    weight = rng(1).standard_normal((1, 30, 4))
    own, held = rng(2).standard_normal((40, 30)), rng(3).standard_normal((80, 30))
    goal = [x @ weight[0] + 5 + rng(4 + i).standard_normal((len(x), 4)) for i, x in enumerate((own, held))]
    found = fitted(kind, own, goal[0], weight=weight, held=(held, goal[1]))
    assert found.choice == SHIFTED
    assert np.array_equal(found.weight, weight)
    assert found.bias == pytest.approx(np.full((1, 4), 5.0), abs=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_touched_where_nothing_is_lacking(kind):
    inputs, weight = 100 + rng().standard_normal((500, 6)), rng(1).standard_normal((1, 6, 3))
    bias = np.array([[1.0, 2.0, 3.0]])
    targets = inputs.astype(np.float32) @ weight[0].astype(np.float32) + bias.astype(np.float32)
    assert fitted(kind, inputs, targets, weight=weight, bias=bias).choice == KEPT


def test_both_forms_give_the_same():
    inputs = rng().standard_normal((60, 20)) + 1
    targets = inputs @ rng(1).standard_normal((20, 3)) + rng(2).standard_normal((60, 3))
    weight, bias = rng(3).standard_normal((1, 20, 3)), rng(4).standard_normal((1, 3))
    held = rng(5).standard_normal((200, 20)) + 1
    back = held, held @ rng(1).standard_normal((20, 3)) + rng(6).standard_normal((200, 3))
    for centred in (True, False):
        one, other = (
            fitted(kind, inputs, targets, weight=weight, bias=bias, held=back, centred=centred)
            for kind in KINDS
        )
        assert one.choice == other.choice == FITTED
        assert one.weight == pytest.approx(other.weight, abs=1e-4)
        assert one.bias == pytest.approx(other.bias, abs=1e-4)
        assert (one.before, one.after) == pytest.approx((other.before, other.after), rel=1e-4)


def test_few_noisy_rows_are_damped_more_than_many():
    """How far the weights go from the old ones towards the true ones."""
    truth = rng(1).standard_normal((30, 4))

    def gone(count):
        drawn = [rng(seed).standard_normal((n, 30)) for seed, n in ((2, count), (3, 400))]
        goals = [x @ truth + 4 * rng(5 + i).standard_normal((len(x), 4)) for i, x in enumerate(drawn)]
        found = fitted("moments", drawn[0], goals[0], held=(drawn[1], goals[1]))
        # the final fit has the held rows too; what was chosen shows in the error reported
        return found.after / found.before

    assert gone(4000) < gone(60)


def test_constant_and_repeated_columns_do_no_harm():
    base = rng().standard_normal((300, 3))
    inputs = np.c_[base, base[:, :1], np.zeros(300), np.ones(300)]
    found = fitted("moments", inputs, base @ rng(1).standard_normal((3, 2)) + 1)
    assert np.isfinite(found.weight).all()
    assert found.after < 1e-6


def test_numbers_that_are_not_finite_are_not_fitted():
    inputs = rng().standard_normal((100, 4))
    inputs[3, 2] = np.inf
    with np.errstate(invalid="ignore"):
        found = fitted("moments", inputs, rng(1).standard_normal((100, 2)))
    assert found.choice == KEPT


def test_an_output_without_a_price_does_not_decide():
    """The first output can be fitted, the second is noise a thousand times as strong."""
    own, held = rng(0).standard_normal((60, 20)), rng(1).standard_normal((200, 20))
    truth = rng(2).standard_normal(20)
    goal = [np.c_[x @ truth, 1000 * rng(3 + i).standard_normal(len(x))] for i, x in enumerate((own, held))]
    options = {"held": (held, goal[1])}
    assert fitted("moments", own, goal[0], **options).after > 0.9
    assert fitted("moments", own, goal[0], prices=np.array([[1.0, 0.0]]), **options).after < 0.01


def test_moments_add_up():
    inputs, targets = rng().standard_normal((1, 50, 4)), rng(1).standard_normal((1, 50, 2))
    weight, bias = rng(2).standard_normal((1, 4, 2)), rng(3).standard_normal((1, 2))
    parts = [
        gathered("moments", inputs[:, own], targets[:, own], weight, bias)
        for own in (slice(20), slice(20, 50))
    ]
    total, whole = parts[0] + parts[1], gathered("moments", inputs, targets, weight, bias)
    for name, value in vars(whole).items():
        assert getattr(total, name) == pytest.approx(value, rel=1e-5, abs=1e-5)
    lacking = targets - inputs @ weight - bias[:, None]
    shift = np.array([[0.5, -0.5]])
    change = rng(4).standard_normal((1, 4, 2))
    error = ((lacking - inputs @ change - shift) ** 2).mean(axis=1)
    assert whole.error(change, shift) == pytest.approx(error, rel=1e-5)
    assert whole.variance() == pytest.approx(targets.var(axis=1), rel=1e-5)


@pytest.mark.parametrize(
    ("batches", "rows", "wanted"),
    [(1, 8, [6]), (2, 8, [6, 6]), (3, 1, [0, 0, 0]), (4, 8, [8, 8, 8, 0]), (5, 8, [8, 8, 8, 0, 8])],
)
def test_a_quarter_is_held_back(batches, rows, wanted):
    assert [rows_to_fit_by(i, batches, rows) for i in range(batches)] == wanted


def product(columns):
    return COLUMNS["MatMul"](helper.make_node("MatMul", ["x", "w"], ["y"]), (columns, 3))


@pytest.mark.parametrize("columns", [20, collecting.MOST_COLUMNS + 1])
def test_rows_are_chosen_alike_every_time(columns):
    chosen = [
        [Picker("layer", seed, product(columns), 8).rows(100_000) for _ in range(2)] for seed in (0, 0, 1)
    ]
    assert np.array_equal(chosen[0], chosen[1])
    assert not np.array_equal(chosen[0][0], chosen[2][0])
    assert np.all(np.diff(chosen[0][0]) > 0)
    assert len(chosen[0][0]) * 8 <= (collecting.ROWS if columns == 20 else collecting.DUAL_ROWS)


@pytest.mark.parametrize("columns", [20, collecting.MOST_COLUMNS + 1])
def test_rows_of_batches_become_moments_or_stay_rows(columns):
    own = product(columns)
    weight, bias = np.zeros((1, columns, 3)), np.zeros((1, 3))
    inputs = [rng(i).standard_normal((6, columns)).astype(np.float32) for i in range(5)]
    truth = rng(9).standard_normal((columns, 3)).astype(np.float32)
    picker = Picker("layer", 0, own, len(inputs))
    fit_by, held = collect(own, picker, inputs, iter([x @ truth for x in inputs]), (weight, bias))
    assert (fit_by.rows, held.rows) == (24, 6)
    assert isinstance(fit_by, Moments if columns == 20 else Rows)


def test_a_single_row_is_nothing_to_fit_by():
    own = product(4)
    weight, bias = np.zeros((1, 4, 3)), np.zeros((1, 3))
    inputs, targets = [np.ones((1, 4), np.float32)], [np.ones((1, 3), np.float32)]
    found = fit(
        *collect(own, Picker("l", 0, own, 1), inputs, targets, (weight, bias)), weight, bias, centred=True
    )
    assert found.choice == KEPT
