"""Mixing the samples of a step in pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tasks import pruned, samples, source, weights

from onnxprune.errors import UsageError
from onnxprune.training import TrainSettings, train
from onnxprune.training.images import Frame
from onnxprune.training.mixing import Mixing, Mixture

BLACK = torch.zeros(3)
FIRST, LAST = Frame(channels_last=False, black=BLACK), Frame(channels_last=True, black=BLACK)
STEPS = 400


def mixing(frame: Frame | None = FIRST, *, mixup: float = 0.0, cutmix: float = 0.0) -> Mixing:
    return Mixing(TrainSettings(mixup=mixup, cutmix=cutmix), [frame], [True])


def test_nothing_is_mixed_without_being_asked() -> None:
    own = mixing()
    assert not own.pairs
    assert own.drawn(0, 3) == [Mixture()] * 3


def test_mixup_takes_more_of_a_sample_than_of_its_partner() -> None:
    own = mixing(None, mixup=0.5)
    drawn = own.drawn(0, STEPS)
    assert all(0.5 <= mixture.share <= 1 and mixture.middle is None for mixture in drawn)
    (mixed,), share = own([torch.tensor([[0.0], [1.0], [3.0]])], Mixture(0.75))
    assert share == 0.75
    assert mixed.tolist() == [[0.75], [2.5]]


@pytest.mark.parametrize("frame", [FIRST, LAST])
@pytest.mark.parametrize("middle", [(0.5, 0.5), (0.0, 1.0), (0.9, 0.2)])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_box_comes_from_the_image_before(frame: Frame, middle: tuple[float, float], share: float) -> None:
    shape = (4, 12, 10, 3) if frame.channels_last else (4, 3, 12, 10)
    numbers = torch.arange(4.0).view(4, 1, 1, 1).expand(shape).contiguous()
    (mixed,), own = mixing(frame, cutmix=1.0)([numbers], Mixture(share, middle))
    foreign = (mixed != numbers[1:]).movedim(-1 if frame.channels_last else 1, 0)
    assert bool((foreign == foreign[0]).all()), "all channels alike"
    assert bool((foreign[0] == foreign[0, 0]).all()), "all samples alike"
    assert torch.equal(mixed, torch.where(mixed != numbers[1:], numbers[:-1], numbers[1:]))
    assert float(foreign[0, 0].float().mean()) == pytest.approx(1 - own)
    rows, columns = foreign[0, 0].any(1), foreign[0, 0].any(0)
    assert torch.equal(foreign[0, 0], rows[:, None] & columns), "one box"
    assert own >= share - 0.1


def test_a_box_inside_has_the_area_that_was_drawn() -> None:
    shares = []
    for wanted in (0.19, 0.36, 0.51, 0.75, 0.96):
        _, share = mixing(cutmix=1.0)([torch.zeros(2, 1, 100, 100)], Mixture(wanted, (0.5, 0.5)))
        shares.append(share - wanted)
    assert np.abs(shares).max() < 0.01


def test_with_both_a_coin_decides() -> None:
    drawn = mixing(mixup=0.2, cutmix=1.0).drawn(3, STEPS)
    boxes = sum(mixture.middle is not None for mixture in drawn)
    assert 0.4 * STEPS < boxes < 0.6 * STEPS
    assert all(mixture.middle is not None for mixture in mixing(cutmix=1.0).drawn(3, STEPS))


def test_shares_of_mixup_do_not_depend_on_boxes() -> None:
    alone, both = (mixing(mixup=0.2, cutmix=cutmix).drawn(1, STEPS) for cutmix in (0.0, 1.0))
    assert all(b.middle is not None or a == b for a, b in zip(alone, both, strict=True))


def test_what_cannot_be_mixed_is_told() -> None:
    with pytest.raises(UsageError, match="--mixup"):
        Mixing(TrainSettings(mixup=0.2), [None], [False])
    with pytest.raises(UsageError, match="--cutmix"):
        mixing(None, cutmix=1.0)


def test_a_training_with_boxes_learns() -> None:
    own = TrainSettings(epochs=4, batch=32, lr=0.01, augment="flip", cutmix=1.0, features=(), seed=3)
    found = train(pruned(), samples(320), own, teacher=source())
    assert found.history[-1].metric > found.history[0].metric
    other = train(pruned(), samples(320), replace(own, cutmix=0.0), teacher=source())
    first, second = weights(found.model), weights(other.model)
    assert any(not np.array_equal(first[name], second[name]) for name in first)
