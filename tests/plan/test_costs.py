import numpy as np
import pytest
from handmade import chain, dense, grouped, inverted, residual
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.coupling.groups import AxisSize, Group, SizeModel, Structure, Term
from onnxprune.plan.costs import compile_costs

NETS = {
    "chain": chain(16, 24, 8),
    "residual": residual(),
    "inverted": inverted(),
    "dense": dense(),
    "grouped": grouped(),
}


def close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("metric", ["macs", "params", "bytes"])
@given(seed=st.integers(0, 9999))
@settings(max_examples=15, deadline=None)
def test_totals_and_changes_are_those_of_the_size_model(name, metric, seed):
    structure = NETS[name]
    rng = np.random.default_rng(seed)
    costs = compile_costs(structure, metric)
    shares = rng.uniform(0.05, 1.0, len(structure.groups))
    close(costs.total(shares), structure.sizes.totals(shares)[metric])
    many = rng.uniform(0.05, 1.0, (3, len(structure.groups)))
    close(costs.totals(many), [structure.sizes.totals(row)[metric] for row in many])
    scaled = rng.uniform(0.5, 1.5, len(structure.groups))
    changes = costs.changes(shares, scaled)
    for group, change in enumerate(changes):
        moved = shares.copy()
        moved[group] *= scaled[group]
        close(change, costs.total(moved) - costs.total(shares))


def test_what_does_not_depend_on_a_group_and_what_is_given_are_added():
    axes = (AxisSize(((8, (0,)),)), AxisSize(((5, ()),)), AxisSize(()))
    terms = (Term(2.0, (1,)), Term(3.0, (0, 1)), Term(7.0, ()), Term(9.0, (2, 0)))
    structure = Structure((Group("g", 8, (), ()),), (), SizeModel(axes, terms, (), ()))
    assert compile_costs(structure, "macs", fixed=100.0).total(np.array([0.5])) == 100 + 10 + 60 + 7
    assert compile_costs(structure, "params").total(np.array([0.5])) == 0.0


def test_a_group_that_occurs_twice_in_a_product_counts_twice():
    axes = (AxisSize(((16, (0, 0)),)),)
    structure = Structure((Group("g", 4, (), ()),), (), SizeModel(axes, (Term(1.0, (0,)),), (), ()))
    costs = compile_costs(structure, "macs")
    close(costs.changes(np.array([1.0]), np.array([0.5])), [-12.0])


def test_a_model_without_groups_has_a_cost_too():
    structure = Structure((), (), SizeModel((AxisSize(((5, ()),)),), (Term(2.0, (0,)),), (), ()))
    costs = compile_costs(structure, "macs")
    assert costs.total(np.ones(0)) == 10.0
    assert costs.changes(np.ones(0), np.ones(0)).shape == (0,)
