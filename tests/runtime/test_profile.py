import numpy as np
import pytest
from small_networks import network

from onnxprune.execution.execution import Refusal
from onnxprune.runtime.profile import record

FEED = {"image": np.zeros((1, 3, 8, 8), np.float32)}


def test_a_profile_tells_nodes_and_operators():
    found = record(network().SerializeToString(), FEED, runs=4)
    assert len(found.whole) == 4
    assert all(node.seconds.shape == (4,) for node in found.nodes)
    assert {"Conv", "Gemm"} <= {node.op.removeprefix("Fused") for node in found.nodes}
    conv = next(node for node in found.nodes if node.op.endswith("Conv"))
    assert conv.inputs[0] == (1, 3, 8, 8)
    told = found.to_dict()
    assert told["runs"] == 4
    assert sum(row["share"] for row in told["operators"]) == pytest.approx(1.0, abs=0.01)
    assert sum(row["nodes"] for row in told["operators"]) == len(told["nodes"])
    times = [row["ms"] for row in told["nodes"]]
    assert times == sorted(times, reverse=True)


def test_what_does_not_run_is_refused():
    with pytest.raises(Refusal):
        record(b"no model", FEED, runs=1)
    with pytest.raises(Refusal):
        record(network().SerializeToString(), {"other": FEED["image"]}, runs=1)
