import numpy as np
from weighted import along, constants_of, group_of, structure_of

from onnxprune.coupling.groups import Role
from onnxprune.criteria import criterion, rescorer, score_groups


def two_convs(units=(0, 1, 2)):
    """conv0 writes three channels that conv1 reads; both axes of conv1's weight carry groups."""
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((4, 3, 2, 2)).astype(np.float32)
    first = group_of(
        "conv0", 3, along("conv0.weight", 0, 3), along("conv1.weight", 1, list(units), Role.INPUT)
    )
    second = group_of("conv1", 4, along("conv1.weight", 0, 4))
    constants = constants_of(conv0__weight=np.ones((3, 1, 1, 1), np.float32), conv1__weight=weight)
    return structure_of(first, second), constants, weight


def test_kernels_of_removed_input_channels_do_not_count():
    structure, constants, weight = two_convs()
    rescore = rescorer(structure, constants, criterion("l1"))
    found = rescore(structure.groups[1], {"conv0": np.array([0, 2])})
    np.testing.assert_allclose(found, abs(weight[:, [0, 2]]).sum(axis=(1, 2, 3)), rtol=1e-6)


def test_indices_of_no_unit_and_groups_that_lost_nothing_stay_visible():
    structure, constants, weight = two_convs(units=(0, -1, 2))
    rescore = rescorer(structure, constants, criterion("l1"))
    found = rescore(structure.groups[1], {"conv0": np.array([0])})
    np.testing.assert_allclose(found, abs(weight[:, [0, 1]]).sum(axis=(1, 2, 3)), rtol=1e-6)
    plain = score_groups(structure, constants, criterion("l1"))["conv1"]
    np.testing.assert_allclose(rescore(structure.groups[1], {}), plain)


def test_a_groups_own_filters_are_never_hidden():
    structure, constants, _ = two_convs()
    rescore = rescorer(structure, constants, criterion("l1"))
    assert rescore(structure.groups[0], {"conv1": np.array([0])}).tolist() == [1.0, 1.0, 1.0]


def test_an_axis_of_two_groups_is_hidden_where_either_is_gone():
    weight = np.ones((2, 4), np.float32)
    outer = group_of("outer", 2, along("w", 1, [0, 0, 1, 1], Role.INPUT))
    inner = group_of("inner", 2, along("w", 1, [0, 1, 0, 1], Role.INPUT))
    reader = group_of("reader", 2, along("w", 0, 2))
    structure = structure_of(outer, inner, reader)
    rescore = rescorer(structure, constants_of(w=weight), criterion("l1"))
    both = {"outer": np.array([0]), "inner": np.array([1])}
    assert rescore(reader, both).tolist() == [1.0, 1.0]


def test_what_is_not_a_number_can_be_hidden_too():
    structure, constants, weight = two_convs()
    weight[:, 1] = np.nan
    rescore = rescorer(structure, constants, criterion("l1"))
    found = rescore(structure.groups[1], {"conv0": np.array([0, 2])})
    assert (found > 0).all()
