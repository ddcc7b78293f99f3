"""The parameter counts that were published for pruned DCASE networks."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.frontends, pytest.mark.filterwarnings("ignore")]


def test_cuts_of_the_baseline_leave_the_published_counts():
    for module in ("tensorflow", "keras", "tf2onnx"):
        pytest.importorskip(module)
    import keras_builder
    from dcase import PUBLISHED, cut, network

    assert keras_builder.build(network((16, 16, 32)), "whole").count_params() == PUBLISHED[()]
    for layers, published in PUBLISHED.items():
        if not layers:
            continue
        count = cut(layers)
        assert count.keras == published
        assert count.onnx == published - 4 * count.normalised
        assert count.deviation < 1e-5
