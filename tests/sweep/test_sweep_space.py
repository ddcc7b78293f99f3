"""What is to be tried."""

from __future__ import annotations

import pytest

from onnxprune.errors import UsageError
from onnxprune.sweep.front import front
from onnxprune.sweep.space import Config, from_key, make_space, split_list

USUAL = {"criteria": ["l1"], "repairs": ["none"], "quantize": ["none"]}


def test_the_grid_is_the_product_of_the_lists() -> None:
    space = make_space(
        ratios=["0.4", 0.2],
        macs=["0.5x"],
        criteria=["l1", "obs"],
        repairs=["none", "bias"],
        quantize=["none", "int8"],
    )
    ways = list(space.grid())
    assert len(ways) == len(set(ways)) == 3 * 2 * 2 * 2
    assert ways[0] == Config("ratio", "0.2", "l1", "none", "none")
    assert ways[1].quantize == "int8"  # neighbours share what is dear
    assert [own.quantize for own in space.sources()] == ["none", "int8"]


def test_every_combination_of_layers() -> None:
    space = make_space(ratios=[0.5], **USUAL, layers=["a", "b*", "c"])
    assert [own.layers for own in space.grid()] == [
        ("a",), ("b*",), ("c",), ("a", "b*"), ("a", "c"), ("b*", "c"), ("a", "b*", "c"),
    ]  # fmt: skip


def test_options_stay_with_their_criterion() -> None:
    assert split_list("l2,reduction=max,l1, entropy:0.3,bins=20") == [
        "l2,reduction=max",
        "l1",
        "entropy:0.3,bins=20",
    ]
    assert split_list("own:fn,l1") == ["own:fn", "l1"]


def test_names_are_files_and_differ() -> None:
    ways = [
        Config("ratio", "0.4", "l1", "lstsq", "int8"),
        Config("ratio", "0.4", "own.module:fn", "none", "none"),
        Config("ratio", "0.4", "own.module/fn", "none", "none"),
        Config("ratio", "0.4", "l1", "none", "none", ("block*/conv", "x" * 300)),
    ]
    names = [own.name for own in ways]
    assert names[0] == "ratio_0.4_l1_lstsq_int8"
    assert len(set(names)) == len(names)
    assert all(len(name) < 120 and not set(name) & set("/:*") for name in names)
    assert [from_key(own.key) for own in ways] == ways


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "--ratios"),
        ({"ratios": ["2"]}, "--ratios 2"),
        ({"ratios": ["0.7:0.1"]}, "smaller ratio first"),
        ({"ratios": "0.1:0.7", "macs": ["0.5x"]}, "--macs-list"),
        ({"ratios": [0.5], "criteria": [""]}, "--criteria"),
        ({"ratios": [0.5], "layers": list("abcdefghijk")}, "2,047"),
    ],
)
def test_spaces_that_make_no_sense(given: dict, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_space(**{**USUAL, **given})
    assert said in str(caught.value)


def test_a_span_has_no_grid() -> None:
    with pytest.raises(UsageError, match="--trials"):
        list(make_space(ratios="0.1:0.7", **USUAL).grid())


def test_the_front_holds_what_no_other_beats() -> None:
    points = [(1.0, 5.0), (2.0, 4.0), (2.0, 4.0), (2.0, 6.0), (3.0, 4.0), (0.5, 9.0)]
    assert front(points) == [True, True, True, False, False, True]
    assert front([]) == []
