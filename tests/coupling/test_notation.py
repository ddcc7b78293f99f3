"""The pattern notation and how operands bind to it."""

from __future__ import annotations

import numpy as np
import pytest

from onnxprune.coupling.labels import Labels
from onnxprune.coupling.matching import broadcast, match
from onnxprune.coupling.notation import parse
from onnxprune.coupling.site import Unfollowable


def test_a_pattern_is_parsed_into_words() -> None:
    pattern = parse("n (group i) !, (group o) i ! -> n (group o) ...")
    assert pattern.inputs == ((("n",), ("group", "i"), ("!",)), (("group", "o"), ("i",), ("!",)))
    assert pattern.outputs == ((("n",), ("group", "o"), ("...",)),)


@pytest.mark.parametrize("text", ["n c", "n ? -> n", "... c ! -> c", "a ... ... -> a"])
def test_a_wrong_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        parse(text)


def test_a_repeated_name_equates_its_axes() -> None:
    labels = Labels()
    x, w = [labels.fresh(3), labels.fresh(4)], [labels.fresh(5), labels.fresh(4)]
    binding = match(labels, "m k, n k -> m n", [x, w], {})
    assert np.array_equal(labels.find(x[1]), labels.find(w[1]))
    assert [len(a) for a in binding.give((("m",), ("n",)), (3, 5))] == [3, 5]


def test_whole_axes_are_pinned_and_passing_ones_are_not() -> None:
    labels = Labels()
    x = [labels.fresh(n) for n in (2, 3, 4)]
    match(labels, "n c ... -> n c ...", [x], {})
    assert labels.is_free(x[2])
    match(labels, "n c ! -> n c !", [x], {})
    assert not labels.is_free(x[2])


def test_factors_need_all_lengths_but_one() -> None:
    labels = Labels()
    with pytest.raises(Unfollowable, match="taken apart"):
        match(labels, "(a b) -> a b", [[labels.fresh(6)]], {})
    with pytest.raises(Unfollowable, match="taken apart"):
        match(labels, "(a b) -> a b", [[labels.fresh(6)]], {"a": 4})
    assert len(match(labels, "(a b) -> a b", [[labels.fresh(6)]], {"a": 2})["b"]) == 3


def test_numbers_are_axes_of_that_length_that_stay_whole() -> None:
    labels = Labels()
    gates = labels.fresh(8)
    binding = match(labels, "(4 h) -> h", [[gates]], {})
    assert np.array_equal(labels.find(gates), np.tile(labels.find(binding["h"]), 4))


def test_an_operand_of_the_wrong_rank_cannot_be_followed() -> None:
    labels = Labels()
    with pytest.raises(Unfollowable, match="axes"):
        match(labels, "n c -> n c", [[labels.fresh(2)]], {})


def test_broadcasting_equates_what_is_long_and_pins_what_is_repeated() -> None:
    labels = Labels()
    data, gate = [labels.fresh(2), labels.fresh(4), labels.fresh(3)], [labels.fresh(4), labels.fresh(3)[:1]]
    result = broadcast(labels, [data, gate])
    assert [len(axis) for axis in result] == [2, 4, 3]
    assert np.array_equal(labels.find(data[1]), labels.find(gate[0]))
    assert not labels.is_free(gate[1])
