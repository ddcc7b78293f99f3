import numpy as np
import pytest
from measured_networks import NETWORKS, Network, maps

from onnxprune.calibration import ArraySamples, Samples
from onnxprune.calibration.gathering import gather
from onnxprune.calibration.statistics import Covariance, MapRank, Mean, MeanSquare, ZeroShare
from onnxprune.calibration.watched import WatchedSamples
from onnxprune.coupling import couple
from onnxprune.errors import InputError, UsageError
from onnxprune.model import load_model

COUNT = 12
ALL = (Mean(), MeanSquare(), ZeroShare(), Covariance())


def covariance(values):
    """(samples, units, positions) -> (units, units), by the definition."""
    rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    return np.cov(rows, bias=True).reshape(len(rows), len(rows))


PLAIN = {
    Mean(): lambda values: values.mean(axis=2),
    MeanSquare(): lambda values: (values**2).mean(axis=2),
    ZeroShare(): lambda values: (values == 0).mean(axis=2),
    Covariance(): covariance,
}


def measured(network, wanted, count=COUNT):
    coupling = couple(load_model(network.proto()))
    samples = network.samples(count)
    evidence = gather(coupling, ArraySamples({"x": samples}), wanted, threads=1)
    return coupling.structure.by_name(), evidence, samples


@pytest.mark.parametrize("name", NETWORKS)
def test_every_statistic_is_that_of_the_values_that_the_readers_see(name):
    network = NETWORKS[name]
    groups, evidence, samples = measured(network, ALL)
    assert evidence.samples == COUNT
    tolerance = 2e-2 if network.dtype == np.float16 else 1e-5
    for group in network.carried:
        values = network.values(samples, group)
        for statistic, plain in PLAIN.items():
            found = evidence.of(groups[group], statistic)
            assert len(found) == len(values)
            for own, value in zip(found, values, strict=True):
                np.testing.assert_allclose(
                    own, plain(value), rtol=tolerance, atol=tolerance, err_msg=f"{statistic}"
                )


@pytest.mark.parametrize("name", ["chain", "residual stream", "channels last", "chain, one sample a run"])
def test_ranks_are_those_of_each_map_of_the_first_samples(name):
    network = NETWORKS[name]
    groups, evidence, samples = measured(network, [MapRank(5)])
    for group, carried in network.carried.items():
        for own, value, (_, arrange) in zip(
            evidence.of(groups[group], MapRank(5)), network.values(samples[:5], group), carried, strict=True
        ):
            side = int(value.shape[2] ** 0.5)
            square = (
                value.reshape(*value.shape[:2], side, side)
                if arrange is maps or side > 1
                else value[..., None]
            )
            assert own.shape == value.shape[:2]
            assert own.tolist() == np.linalg.matrix_rank(square.astype(np.float32)).tolist()


def test_ranks_of_low_rank_maps_are_found():
    network = NETWORKS["chain"]
    coupling = couple(load_model(network.proto()))
    rows = np.ones((6, 3, 6, 6), np.float32) * np.arange(1, 7, dtype=np.float32)
    evidence = gather(coupling, ArraySamples({"x": rows}), [MapRank(2)], threads=1)
    found = evidence.of(coupling.structure.by_name()["Conv0"], MapRank(2))[0]
    assert found.shape == (2, 6)
    assert found.max() <= 3  # equal rows but for those that the padding changes


def test_a_covariance_keeps_its_digits_beside_a_large_mean():
    network = NETWORKS["perceptron"]
    model = network.proto()
    coupling = couple(load_model(model))
    samples = network.samples(200) + 300.0
    evidence = gather(coupling, ArraySamples({"x": samples}), [Covariance()], threads=1)
    found = evidence.of(coupling.structure.by_name()["Gemm0"], Covariance())[0]
    values = network.values(samples, "Gemm0")[0]
    np.testing.assert_allclose(found, covariance(values), rtol=1e-3, atol=1e-3)


def test_a_unit_that_a_value_does_not_hold_is_no_number_there():
    text = """split (float[n, 3] x) => (float[n, 2] y, float[n, 2] z) <int64[2] parts = {2, 3}> {
        a = Gemm (x, A)
        r = Relu (a)
        y = Gemm (r, B)
        left, right = Split <axis = 1> (r, parts)
        z = Gemm (right, C)
    }"""
    network = Network(text, {"A": (3, 5), "B": (5, 2), "C": (3, 2)}, {})
    groups, evidence, _ = measured(network, [Mean(), Covariance()])
    whole, right = evidence.of(groups["Gemm0"], Mean())
    assert np.isfinite(whole).all()
    assert np.isnan(right).all(axis=0).tolist() == [True] * 2 + [False] * 3
    assert np.isnan(evidence.of(groups["Gemm0"], Covariance())[1][:2]).all()
    assert np.isfinite(evidence.of(groups["Gemm0"], Covariance())[1][2:, 2:]).all()


def test_the_values_of_one_layer_can_be_asked_for():
    network = NETWORKS["residual stream"]
    groups, evidence, _ = measured(network, [Mean()])
    stream = groups["Conv0"]
    first, second = evidence.of(stream, Mean())
    for layer, expected in (("Conv2", [first]), ("Conv7", [second]), ("Conv4", [])):
        found = evidence.of(stream, Mean(), layer=layer)
        assert [own.tolist() for own in found] == [own.tolist() for own in expected]


def test_samples_that_fill_no_batch_of_a_fixed_size_are_left_out():
    network = NETWORKS["chain, three samples a run"]
    _, evidence, _ = measured(network, [Mean()], count=11)
    assert evidence.samples == 9
    with pytest.raises(UsageError, match="batches of 3 samples"):
        measured(network, [Mean()], count=2)


def test_a_group_that_stays_whole_costs_nothing():
    groups, evidence, _ = measured(NETWORKS["channel groups"], [Mean()])
    held = [group for group in groups.values() if group.held]
    assert held
    assert all(evidence.of(group, Mean()) == () for group in held)


def test_what_was_not_gathered_is_named():
    groups, evidence, _ = measured(NETWORKS["perceptron"], [Mean()])
    with pytest.raises(UsageError, match="Covariance"):
        evidence.of(groups["Gemm0"], Covariance())


def test_samples_that_do_not_fit_the_model_are_told():
    network = NETWORKS["perceptron"]
    coupling = couple(load_model(network.proto()))
    wrong = ArraySamples({"x": np.zeros((4, 5), np.float32)})
    with pytest.raises(InputError, match="does not run on the samples"):
        gather(coupling, wrong, [Mean()], threads=1)


def test_watched_samples_tell_how_many_are_done():
    network = NETWORKS["chain"]
    told = []
    samples = WatchedSamples(ArraySamples({"x": network.samples(11)}), lambda *state: told.append(state))
    batches = list(samples.batches(4))
    assert told == [(4, 11), (8, 11), (11, 11)]
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert samples.part(2, 5).count == 3
    assert (samples.labelled, samples.description) == (False, "arrays")
    assert isinstance(samples, Samples)
