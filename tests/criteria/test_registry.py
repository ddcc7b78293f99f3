import numpy as np
import pytest
from weighted import along, constants_of, group_of, structure_of

from onnxprune.criteria import criterion, known, register, score_groups
from onnxprune.errors import UsageError

BUILT_IN = {"l1", "l2", "linf", "bn_scale", "lamp", "random"}


def reversed_index(group, weights):
    """A user's own criterion, found by module and name."""
    return np.arange(group.size)[::-1]


def too_long(group, weights):
    return np.zeros(group.size + 1)


not_callable = 3


@register("test_power", exponent=2.0, signed=False, times=1)
def power(group, weights, *, exponent, signed, times):
    base = weights.matrix(group.slices[0]).sum(axis=1)
    return times * (base if signed else abs(base)) ** exponent


def one_group():
    array = np.array([[1.0], [-2.0], [3.0]], np.float32)
    return structure_of(group_of("g", 3, along("w", 0, 3))), constants_of(w=array)


def test_the_built_in_criteria_are_known():
    assert set(known()) >= BUILT_IN
    for name in BUILT_IN:
        assert criterion(name).name == name


def test_a_name_can_be_registered_once_and_must_be_a_word():
    for taken in ("l1", "test_power"):
        with pytest.raises(ValueError, match=f"'{taken}' is registered already"):
            register(taken)(reversed_index)
    with pytest.raises(ValueError, match="plain word"):
        register("a:b")(reversed_index)


def test_an_unknown_name_lists_the_known_ones_with_the_closest():
    with pytest.raises(UsageError) as caught:
        criterion("l_inf")
    assert "'l_inf'" in caught.value.message
    assert "Did you mean 'linf'?" in caught.value.hint
    assert all(name in caught.value.hint for name in BUILT_IN)


def test_a_threshold_follows_a_colon():
    assert criterion("l2:0.25").threshold == 0.25
    assert criterion("l2").threshold is None
    assert criterion("test_registry:reversed_index:1e-3").threshold == 1e-3
    with pytest.raises(UsageError, match="no finite number"):
        criterion("l1:inf")


def test_options_come_from_the_text_or_from_keywords_and_take_the_type_of_the_default():
    chosen = criterion("test_power,exponent=3,signed=yes,reduction=max, normalizer=sum", times=2)
    assert dict(chosen.options) == {"exponent": 3.0, "signed": True, "times": 2}
    assert (chosen.reduction, chosen.normalizer) == ("max", "sum")
    structure, constants = one_group()
    scores = score_groups(structure, constants, criterion("test_power,exponent=3,signed=yes,times=2"))
    assert scores["g"].tolist() == [2.0, -16.0, 54.0]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ("l1,reduction=meen", "reduction 'meen'"),
        ("l1,normalizer=l9", "normalizer 'l9'"),
        ("l1,colour=red", "no option 'colour'"),
        ("l1,reduction", "'reduction'"),
        ("test_power,times=many", "'many' does not fit times"),
        ("test_power,signed=perhaps", "'perhaps' does not fit signed"),
        ("no_such_module_at_all:f", "cannot be loaded"),
        ("test_registry:no_such_function", "cannot be loaded"),
        ("test_registry:not_callable", "is no function"),
        ("", "no criterion ''"),
        (":", "cannot be loaded"),
    ],
)
def test_what_does_not_fit_is_named(spec, wrong):
    with pytest.raises(UsageError) as caught:
        criterion(spec)
    assert wrong in caught.value.message


def test_the_users_own_function_is_loaded_by_module_and_name():
    structure, constants = one_group()
    scores = score_groups(structure, constants, criterion("test_registry:reversed_index"))
    assert scores["g"].tolist() == [2.0, 1.0, 0.0]
    assert scores["g"].dtype == np.float64


def test_a_function_that_returns_something_else_is_told_what_is_expected():
    structure, constants = one_group()
    with pytest.raises(UsageError) as caught:
        score_groups(structure, constants, criterion("test_registry:too_long"))
    assert "(4,)" in caught.value.message
    assert "(3,)" in caught.value.hint
