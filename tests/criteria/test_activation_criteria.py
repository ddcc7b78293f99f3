"""Criteria that look at activations, against the formulas of their papers written out in loops."""

from math import log

import numpy as np
import pytest
from weighted import along, constants_of, group_of, structure_of

from onnxprune.calibration import Evidence
from onnxprune.calibration.statistics import Gate, Loss, MapRank, Mean, MeanSquare, ZeroShare
from onnxprune.coupling.groups import Role
from onnxprune.criteria import criterion, score_groups
from onnxprune.errors import UsageError

RNG = np.random.default_rng(11)
SAMPLES, UNITS = 37, 5
WRITES, READS = RNG.standard_normal((UNITS, 4)).astype(np.float32), RNG.standard_normal((3, UNITS, 2, 2))
SECOND = RNG.standard_normal((6, UNITS))
GROUP = group_of(
    "g",
    UNITS,
    along("first.weight", 0, UNITS),
    along("second.weight", 1, UNITS, Role.INPUT),
    along("third.weight", 1, UNITS, Role.INPUT),
)
CONSTANTS = constants_of(first__weight=WRITES, second__weight=READS.astype(np.float32), third__weight=SECOND)


def evidence(**arrays):
    """Evidence of one group in two values, read by the layers ``second`` and ``third``."""
    looks = {STATISTICS[name]: lambda group, own=own: tuple(own) for name, own in arrays.items()}
    return Evidence(looks, {"g": (("second",), ("third",))}, SAMPLES, "made up")


STATISTICS = {
    "mean": Mean(),
    "square": MeanSquare(),
    "zeros": ZeroShare(),
    "rank": MapRank(16),
    "gate": Gate(Loss.LABELS),
    "sampled": Gate(Loss.SAMPLED),
    "outputs": Gate(Loss.OUTPUTS),
}


def scored(spec, given, group=GROUP):
    found = score_groups(structure_of(group), CONSTANTS, criterion(spec), evidence=given)
    return found["g"], found.notes


def drawn(samples=SAMPLES, values=2):
    return [RNG.standard_normal((samples, UNITS)) for _ in range(values)]


def entropy_of(values, bins):
    """Luo & Wu 2017, section 3.1, over the range of the channel, divided by the logarithm of the bins."""
    low, high = min(values), max(values)
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    return -sum(c / len(values) * log(c / len(values)) for c in counts if c) / log(bins)


@pytest.mark.parametrize("bins", [2, 5, 10, 30])
def test_entropy_is_that_of_the_histogram_of_pooled_activations(bins):
    means = drawn()
    found, notes = scored(f"entropy,bins={bins}", evidence(mean=means))
    expected = np.mean([[entropy_of(own[:, u], bins) for u in range(UNITS)] for own in means], axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert not notes


def test_entropy_runs_from_a_constant_to_all_bins_alike():
    pooled = np.zeros((SAMPLES, UNITS))
    pooled[:, 1] = 4.0
    pooled[:, 2] = np.arange(SAMPLES) % 2
    pooled[:36, 3] = np.arange(36) % 4
    pooled[0, 4] = 1e-30
    found, _ = scored("entropy,bins=4", evidence(mean=[pooled]))
    assert found[:2].tolist() == [0.0, 0.0]
    assert abs(found[2] - 0.5) < 1e-3
    assert found[3] > 0.999
    assert 0 < found[4] < 0.2


def test_entropy_of_few_samples_comes_with_a_note():
    _, notes = scored("entropy,bins=10", evidence(mean=drawn(samples=9)))
    assert "fewer than 10 samples" in notes[0]


def test_apoz_is_the_share_that_is_not_zero():
    shares = [np.abs(own) / 5 for own in drawn()]
    found, notes = scored("apoz", evidence(zeros=shares))
    np.testing.assert_allclose(found, 1 - (shares[0].mean(axis=0) + shares[1].mean(axis=0)) / 2)
    assert not notes
    _, notes = scored("apoz", evidence(zeros=[np.zeros((SAMPLES, UNITS))]))
    assert "never zero" in notes[0]


def test_mean_and_variance_are_those_of_all_positions():
    positions = RNG.standard_normal((SAMPLES, UNITS, 6)) + 2.0
    given = evidence(mean=[positions.mean(axis=2)], square=[(positions**2).mean(axis=2)])
    np.testing.assert_allclose(scored("mean", given)[0], np.abs(positions.mean(axis=2)).mean(axis=0))
    rows = np.moveaxis(positions, 1, 0).reshape(UNITS, -1)
    np.testing.assert_allclose(scored("variance", given)[0], rows.var(axis=1))


def test_rank_is_averaged_over_samples():
    ranks = [RNG.integers(0, 8, (16, UNITS)).astype(float)]
    found, notes = scored("rank", evidence(rank=ranks))
    assert found.tolist() == ranks[0].mean(axis=0).tolist()
    assert not notes
    _, notes = scored("rank", evidence(rank=[np.ones((16, UNITS))]))
    assert "says little" in notes[0]


def wanda_of(unit, weights, square):
    """Sum of |W_ij| * ||X_j|| over all that reads j, the norm as a root mean square."""
    taken = np.take(weights, unit, axis=1).ravel()
    return sum(abs(w) for w in taken) * np.mean(square[:, unit]) ** 0.5


@pytest.mark.parametrize(("reduction", "combine"), [("mean", np.mean), ("sum", np.sum), ("max", np.max)])
def test_wanda_weighs_what_each_reader_reads(reduction, combine):
    squares = [own**2 for own in drawn()]
    found, _ = scored(f"wanda,reduction={reduction}", evidence(square=squares))
    expected = [
        combine([wanda_of(u, READS, squares[0]), wanda_of(u, SECOND, squares[1])]) for u in range(UNITS)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_wanda_takes_the_activations_alone_where_no_weights_read_them():
    squares = [own**2 for own in drawn()]
    writer = group_of("g", UNITS, along("first.weight", 0, UNITS))
    found, notes = scored("wanda", evidence(square=squares), group=writer)
    np.testing.assert_allclose(found, np.mean([np.sqrt(own.mean(axis=0)) for own in squares], axis=0))
    assert "no weights read" in notes[0]


@pytest.mark.parametrize("batch", [1, 8, 16, 100])
def test_taylor_squares_the_mean_of_each_batch(batch):
    (slopes,) = drawn(values=1)
    found, _ = scored(f"taylor,batch={batch}", evidence(gate=[slopes]))
    for unit in range(UNITS):
        batches = [slopes[k : k + batch, unit] for k in range(0, SAMPLES, batch)]
        assert abs(found[unit] - np.mean([np.mean(own) ** 2 for own in batches])) < 1e-12


@pytest.mark.parametrize(
    ("name", "kind"), [("fisher", "gate"), ("self_fisher", "sampled"), ("jacobian", "outputs")]
)
def test_second_order_criteria_square_each_sample(name, kind):
    (slopes,) = drawn(values=1)
    found, _ = scored(name, evidence(**{kind: [slopes]}))
    np.testing.assert_allclose(found, [np.mean([v * v for v in slopes[:, u]]) for u in range(UNITS)])


@pytest.mark.parametrize(
    "name", ["entropy", "apoz", "mean", "variance", "rank", "wanda", "taylor", "jacobian"]
)
def test_without_data_the_error_shows_how_to_give_some(name):
    with pytest.raises(UsageError) as caught:
        scored(name, None)
    assert "--data" in caught.value.hint


def test_a_unit_that_a_value_does_not_hold_is_scored_by_the_others():
    means = drawn()
    means[1][:, 3] = np.nan
    squares = [own**2 for own in means]
    for name in ("entropy", "mean", "variance"):
        both, _ = scored(name, evidence(mean=means, square=squares))
        first, _ = scored(name, evidence(mean=means[:1], square=squares[:1]))
        assert np.isfinite(both).all()
        assert both[3] == first[3]


@pytest.mark.parametrize(
    ("spec", "bound"),
    [("entropy:0.3", 0.3), ("apoz:0.9", 0.1), ("mean:0.01", 0.01), ("variance:1e-4", 1e-4), ("rank:3", 3.0)],
)
def test_a_threshold_is_read_as_a_bound_on_the_score(spec, bound):
    assert abs(criterion(spec).bound - bound) < 1e-12


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("entropy:1.5", "no normalised entropy"),
        ("apoz:-1", "no share"),
        ("wanda:1", "wanda"),
        ("taylor:1", "taylor"),
    ],
)
def test_a_threshold_out_of_range_is_refused(spec, words):
    with pytest.raises(UsageError, match=words):
        criterion(spec)


@pytest.mark.parametrize("spec", ["entropy,bins=1", "taylor,batch=0", "rank,samples=0"])
def test_options_out_of_range_are_refused(spec):
    with pytest.raises(UsageError, match="Give"):
        criterion(spec)
