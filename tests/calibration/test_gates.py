import numpy as np
import pytest
from measured_networks import NETWORKS, Network
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxprune.calibration import ArraySamples
from onnxprune.calibration.gathering import gather
from onnxprune.calibration.statistics import Gate, Loss
from onnxprune.coupling import couple
from onnxprune.errors import UsageError
from onnxprune.model import load_model

pytestmark = pytest.mark.frontends
pytest.importorskip("torch")

COUNT = 6
SHORTCUT = """shortcut (float[n, 3, 3, 3] x) => (float[n, 4] y) {
    a = Conv (x, A)
    r = Relu (a)
    b = Conv (r, B)
    t = Add (r, b)
    u = Relu (t)
    p = GlobalAveragePool (u)
    f = Flatten (p)
    y = Gemm <transB = 1> (f, G)
}"""
GATED = {
    "chain": (NETWORKS["chain"], "Conv0", {"r": ["Conv2"]}),
    "flattened map": (NETWORKS["flattened map"], "Conv0", {"f": ["Gemm3"]}),
    "shortcut": (
        Network(SHORTCUT, {"A": (5, 3, 1, 1), "B": (5, 5, 1, 1), "G": (4, 5)}, {}),
        "Conv0",
        {"r": ["Conv2"], "f": ["Gemm7"]},
    ),
    "channel groups": (
        Network(
            NETWORKS["channel groups"]
            .text.replace("float[n, 2, 4, 4] y", "float[n, 2] y")
            .replace("y = Conv (b, D)", "p = GlobalAveragePool (b)\n f = Flatten (p)\n y = Gemm (f, D)"),
            {"A": (10, 3, 1, 1), "B": (10, 5, 1, 1), "D": (10, 2)},
            {},
        ),
        "Conv0",
        {"r": ["Conv2"]},
    ),
}


def outputs(network, readers, mask, samples):
    """Outputs of the network with the units of a group multiplied where layers read them, in double precision.

    Args:
        readers: value -> names of the nodes that read it with weights.
        mask: value -> factors that fit it.
    """
    model = network.proto()
    for tensor in model.graph.initializer:
        if tensor.data_type == 1:
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name)
            )
    nodes = []
    for node in model.graph.node:
        for value, names in readers.items():
            if node.name in names:
                model.graph.initializer.append(numpy_helper.from_array(mask[value], f"mask {value}"))
                nodes.append(helper.make_node("Mul", [value, f"mask {value}"], [f"masked {value}"]))
                node.input[list(node.input).index(value)] = f"masked {value}"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return ReferenceEvaluator(model).run(None, {"x": samples.astype(np.float64)})[0]


def masks(network, group, unit, factor):
    """One unit of a group times a factor, for every value that carries it."""
    coupling = couple(load_model(network.proto()))
    position = next(g for g, own in enumerate(coupling.structure.groups) if own.name == group)
    found = {}
    for value, axes in coupling.engine.axes.items():
        for k, axis in enumerate(axes):
            units = coupling.units.rows(axis).get(position)
            if units is not None:
                shape = [1] * len(axes)
                shape[k] = len(units)
                found[value] = np.where(units == unit, factor, 1.0).reshape(shape)
    return found


def log_probabilities(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def slopes(network, group, readers, loss, size):
    """Central differences of each sample's loss by a factor on each unit, (samples, units)."""
    samples, step = network.samples(COUNT), 1e-5
    found = np.zeros((COUNT, size))
    for unit in range(size):
        high, low = (
            loss(outputs(network, readers, masks(network, group, unit, 1.0 + sign * step), samples))
            for sign in (1, -1)
        )
        found[:, unit] = (high - low) / (2 * step)
    return found


def measured(network, loss, labels=None, seed=0):
    coupling = couple(load_model(network.proto()))
    samples = ArraySamples({"x": network.samples(COUNT)}, labels)
    return coupling.structure.by_name(), gather(coupling, samples, [Gate(loss)], threads=1, seed=seed)


@pytest.mark.parametrize("case", GATED)
def test_the_derivative_on_labels_is_that_of_the_masked_network(case):
    network, group, readers = GATED[case]
    labels = np.arange(COUNT) % 2

    def loss(scores):
        return -log_probabilities(scores)[np.arange(COUNT), labels]

    groups, evidence = measured(network, Loss.LABELS, labels)
    (found,) = evidence.of(groups[group], Gate(Loss.LABELS))
    np.testing.assert_allclose(found, slopes(network, group, readers, loss, groups[group].size), atol=1e-4)


@pytest.mark.parametrize("case", GATED)
def test_the_derivative_of_all_outputs_takes_a_sign_for_each(case):
    network, group, readers = GATED[case]
    classes = outputs(network, {}, {}, network.samples(COUNT)).shape[1]
    signs = np.random.default_rng(5).integers(0, 2, (COUNT, classes)) * 2.0 - 1.0

    groups, evidence = measured(network, Loss.OUTPUTS, seed=5)
    (found,) = evidence.of(groups[group], Gate(Loss.OUTPUTS))
    expected = slopes(
        network, group, readers, lambda scores: (scores * signs).sum(axis=1), groups[group].size
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_drawn_labels_follow_the_prediction_of_the_model():
    """Over many seeds the squared derivative comes to that of the Fisher information."""
    network, group, readers = GATED["chain"]
    scores = outputs(network, {}, {}, network.samples(COUNT))
    chances = np.exp(log_probabilities(scores))
    size = 6
    by_class = np.stack(
        [
            slopes(network, group, readers, lambda s, k=k: -log_probabilities(s)[:, k], size)
            for k in range(scores.shape[1])
        ]
    )
    expected = (chances.T[:, :, None] * by_class**2).sum(axis=0)
    drawn = []
    for seed in range(24):
        groups, evidence = measured(network, Loss.SAMPLED, seed=seed)
        drawn.append(evidence.of(groups[group], Gate(Loss.SAMPLED))[0])
    possible = np.abs(drawn[0][None] - by_class).max(axis=2).min(axis=0)
    assert possible.max() < 1e-4  # each draw is one class
    assert abs(np.mean(np.square(drawn)) / expected.mean() - 1) < 0.3


def test_a_model_that_ends_in_probabilities_is_told_from_one_that_ends_in_scores():
    network = NETWORKS["chain"]
    ending = Network(
        network.text.replace(
            "y = Gemm <transB = 1> (f, G)", "z = Gemm <transB = 1> (f, G)\n y = Softmax <axis = 1> (z)"
        ),
        network.weights,
        {},
    )
    labels = np.arange(COUNT) % 5
    found = []
    for own in (network, ending):
        groups, evidence = measured(own, Loss.LABELS, labels)
        found.append(evidence.of(groups["Conv0"], Gate(Loss.LABELS))[0])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.parametrize(
    ("network", "loss", "labels", "words"),
    [
        ("chain", Loss.LABELS, None, "none in arrays"),
        ("chain", Loss.LABELS, np.full(COUNT, 5), "from 0 to 4"),
        ("residual stream", Loss.SAMPLED, None, "its shape is"),
        ("residual stream", Loss.LABELS, np.zeros(COUNT, int), "its shape is"),
    ],
)
def test_what_the_loss_lacks_is_told_with_what_needs_less(network, loss, labels, words):
    with pytest.raises(UsageError) as caught:
        measured(NETWORKS[network], loss, labels)
    assert words in caught.value.message
    assert "jacobian" in caught.value.hint


def test_the_same_seed_draws_the_same():
    network = NETWORKS["chain"]
    found = [measured(network, Loss.OUTPUTS, seed=seed) for seed in (1, 1, 2)]
    first, again, other = (evidence.of(groups["Conv0"], Gate(Loss.OUTPUTS))[0] for groups, evidence in found)
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
