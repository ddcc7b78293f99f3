"""Losses against what they save: which units go where they compete for a budget."""

from __future__ import annotations

import numpy as np
import pytest
from small_networks import network

from onnxprune.coupling import couple
from onnxprune.model import load_model
from onnxprune.plan import PlanOptions, make_plan, parse_macs, parse_params
from onnxprune.plan.field import savings


def structure():
    return couple(load_model(network())).structure


def options(target, **more):
    return PlanOptions(target=target, scope="global", align=1, **more)


@pytest.mark.parametrize("target", [parse_macs("0.8x"), parse_params("0.8x")])
def test_a_price_is_what_the_first_unit_saves(target):
    own = structure()
    places = [i for i, group in enumerate(own.groups) if not group.held]
    found = savings(own, places, options(target))
    for place, price in zip(places, found, strict=True):
        shares = np.ones(len(own.groups))
        full = own.sizes.totals(shares)[target.metric]
        shares[place] -= 1 / own.groups[place].size
        assert price == pytest.approx(full - own.sizes.totals(shares)[target.metric])


def test_of_equal_losses_those_that_save_more_go():
    """A filter of conv1 saves its own work and that of conv2 on it, one of conv2 little beside its own."""
    own = structure()
    losses = {group.name: np.linspace(1, 2, group.size) for group in own.groups}
    places = {group.name: i for i, group in enumerate(own.groups)}
    dear, cheap = savings(own, [places["conv1"], places["conv2"]], options(parse_macs("0.8x")))
    assert dear > 1.5 * cheap
    counts = {}
    for priced in (False, True):
        plan = make_plan(own, losses, options(parse_macs("0.8x"), priced=priced))
        counts[priced] = {name: len(kept) / losses[name].size for name, kept in plan.kept.items()}
    assert counts[False]["conv1"] == pytest.approx(counts[False].get("conv2", 1.0), abs=0.06)
    assert counts[True]["conv1"] < counts[True].get("conv2", 1.0) - 0.1
