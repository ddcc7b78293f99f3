from itertools import product

import numpy as np
import pytest
from handmade import chain, dense, inverted, predicted, residual, scores_of
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxprune.plan import PlanOptions, RatioTarget, admissible_counts, kept_count, make_plan, parse_macs
from onnxprune.plan.balance import balanced_counts
from onnxprune.plan.costs import compile_costs
from onnxprune.plan.problem import FINE, TOLERANCE, Problem

WIDTHS = st.lists(st.integers(3, 70), min_size=1, max_size=4)


def problem_of(structure, ratio, grid, *, budget=None):
    costs = compile_costs(structure, "macs")
    sizes = np.array([group.size for group in structure.groups])
    wanted = np.array([kept_count(group.size, ratio) for group in structure.groups])
    pairs = zip(structure.groups, wanted.tolist(), strict=True)
    choices = tuple(admissible_counts(group, grid, wanted=count) for group, count in pairs)
    target = costs.total(wanted / sizes) if budget is None else budget * costs.total(np.ones(len(sizes)))
    return Problem(costs, sizes, wanted, choices, target, ceiling=budget is not None)


def total_of(structure, counts):
    names = [group.name for group in structure.groups]
    return predicted(structure, dict(zip(names, counts, strict=True)))["macs"]


def all_totals(problem):
    """The totals of every combination of choices."""
    counts = np.array(list(product(*problem.choices)))
    return problem.costs.totals(counts / problem.sizes)


@given(
    widths=WIDTHS, ratio=st.floats(0.05, 0.9), grid=st.sampled_from([4, 8, 16]), shape=st.sampled_from("cr")
)
@settings(max_examples=150, deadline=None)
def test_counts_are_admissible_and_within_tolerance_where_any_combination_is(widths, ratio, grid, shape):
    structure = chain(*widths) if shape == "c" else residual(widths[0], widths[1:])
    problem = problem_of(structure, ratio, grid)
    counts = balanced_counts(problem)
    assert all(count in allowed for count, allowed in zip(counts, problem.choices, strict=True))
    ours = abs(total_of(structure, counts) - problem.target)
    if ours > TOLERANCE * problem.target:
        # then no combination is; the counts may stay nearer to the wanted ones than the best total would
        assert abs(all_totals(problem) - problem.target).min() > TOLERANCE * problem.target


@given(widths=WIDTHS, budget=st.floats(0.05, 0.95), grid=st.sampled_from([1, 4, 8, 16]))
@settings(max_examples=150, deadline=None)
def test_a_ceiling_is_never_exceeded_where_it_can_be_met_and_used_as_far_as_possible(widths, budget, grid):
    structure = chain(*widths)
    problem = problem_of(structure, 1 - budget**0.5, grid, budget=budget)
    total = total_of(structure, balanced_counts(problem))
    if problem.smallest() > problem.target:
        assert total == pytest.approx(problem.smallest())
        return
    assert total <= problem.target * (1 + 1e-9)
    if total < (1 - TOLERANCE) * problem.target:
        totals = all_totals(problem)
        assert total >= totals[totals <= problem.target * (1 + 1e-9)].max() * (1 - 1e-6)


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.4, 0.5, 0.7])
@pytest.mark.parametrize(
    "structure",
    [residual(256, (64,) * 6), inverted((16, 24, 32, 64, 96, 160)), chain(*[48] * 30), dense(30, 32, 64)],
    ids=["residual", "inverted", "chain", "dense"],
)
def test_deep_networks_keep_their_macs_on_a_grid_of_sixteen(structure, ratio):
    plan = make_plan(structure, scores_of(structure), PlanOptions(RatioTarget(ratio), align=16))
    assert abs(plan.totals["macs"] / plan.unaligned["macs"] - 1) <= TOLERANCE


def test_every_group_stays_near_its_wanted_count():
    structure = residual(256, (64,) * 6)
    problem = problem_of(structure, 0.4, 16)
    counts = balanced_counts(problem)
    assert (np.abs(counts - problem.wanted) < 16).all()


def test_counts_that_are_on_the_grid_already_stay():
    structure = chain(64, 128, 64)
    problem = problem_of(structure, 0.5, 16)
    assert balanced_counts(problem).tolist() == [32, 64, 32]


def test_long_lists_of_choices_are_walked_to_the_unit():
    structure = chain(3000, 1000, steps=())
    problem = problem_of(structure, 0.3, 1, budget=0.37)
    total = total_of(structure, balanced_counts(problem))
    assert (1 - FINE) * problem.target <= total <= problem.target


def test_the_same_question_has_the_same_answer():
    structure = inverted((16, 24, 32, 64))
    options = PlanOptions(parse_macs("0.5x"), align=8)
    first, second = (make_plan(structure, scores_of(structure), options) for _ in range(2))
    assert {n: k.tolist() for n, k in first.kept.items()} == {n: k.tolist() for n, k in second.kept.items()}
    assert first.totals == second.totals
