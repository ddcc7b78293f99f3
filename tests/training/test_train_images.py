"""Random changes of images against the same done one image at a time; who is held back."""

from __future__ import annotations

import numpy as np
import pytest
from small_tasks import INPUT, samples, source

from onnxprune.calibration import ArraySamples, open_samples
from onnxprune.training import TrainSettings
from onnxprune.training.division import divide

torch = pytest.importorskip("torch")

from onnxprune.training.augmentation import Augment, parse_augment  # noqa: E402
from onnxprune.training.images import Augmenter, Frame  # noqa: E402
from onnxprune.training.pool import Pool, Portion  # noqa: E402

pytestmark = pytest.mark.frontends

CPU = torch.device("cpu")
BLACK = torch.tensor([-1.0, -2.0, -3.0])
COUNT, SIZE = 40, 9


def images(*, channels_last: bool) -> torch.Tensor:
    shape = (COUNT, SIZE, SIZE, 3) if channels_last else (COUNT, 3, SIZE, SIZE)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def changed(augment: Augment, pool: torch.Tensor, rows: list[int], *, channels_last: bool, epoch: int = 0):
    made = Augmenter(augment, [Frame(channels_last, BLACK)], COUNT, 0, CPU)
    made.begin(epoch)
    where = torch.tensor(rows)
    (found,) = made(Portion(Pool((pool,), None), where, where))
    return found, made


@pytest.mark.parametrize("channels_last", [False, True])
def test_flips_and_crops_are_those_of_single_images(channels_last: bool) -> None:
    pool, rows = images(channels_last=channels_last), [7, 0, 39, 7]
    found, made = changed(Augment(flip=True, crop=3), pool, rows, channels_last=channels_last)
    assert found.shape == (4, *pool.shape[1:])
    draws = made._draws
    assert draws is not None
    for one, row in zip(found, rows, strict=True):
        image = pool[row] if channels_last else pool[row].permute(1, 2, 0)
        wide = BLACK.expand(SIZE + 6, SIZE + 6, 3).clone()
        wide[3:-3, 3:-3] = image
        down, right = int(draws.down[row]) + 3, int(draws.right[row])
        if draws.flip[row]:
            wide, right = wide.flip(1), -right
        wanted = wide[down : down + SIZE, right + 3 : right + 3 + SIZE]
        assert torch.equal(one if channels_last else one.permute(1, 2, 0), wanted)
    assert draws.flip.float().mean() == pytest.approx(0.5, abs=0.25)
    assert {int(draws.down.min()), int(draws.down.max())} == {-3, 3}


def test_draws_depend_on_seed_epoch_and_sample_alone() -> None:
    pool = images(channels_last=False)
    own = Augment(flip=True, crop=2, cutout=3)
    whole, _ = changed(own, pool, [3, 4, 5, 6], channels_last=False)
    part, _ = changed(own, pool, [5], channels_last=False)
    later, _ = changed(own, pool, [5], channels_last=False, epoch=1)
    assert torch.equal(whole[2], part[0])
    assert not torch.equal(part, later)


def test_a_square_is_cut_out() -> None:
    pool = images(channels_last=False)
    found, _ = changed(Augment(cutout=3), pool, list(range(COUNT)), channels_last=False)
    black = (found == BLACK[:, None, None]).all(1)
    assert (found == pool)[~black[:, None].expand_as(found)].all()
    counts = black.sum((1, 2))
    assert counts.max() == 9
    assert counts.min() >= 1


def test_black_is_what_zero_becomes() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    labels = np.arange(20) % 10
    own = open_samples((stored, labels), source(), preprocess="scale=1/255,mean=0.5;0.4;0.3,std=0.25")
    black = divide(own, None, TrainSettings()).black[INPUT]
    assert black.shape == (3, 8, 8)
    assert black[:, 0, 0] == pytest.approx([-2.0, -1.6, -1.2])
    assert divide(samples(20), None, TrainSettings()).black == {}


def test_each_class_is_held_back_in_its_proportion() -> None:
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    values = np.arange(1000, dtype=np.float32)[:, None]
    own = ArraySamples({"x": values}, np.random.default_rng(0).permutation(labels))
    found = divide(own, None, TrainSettings(validation=0.2))
    (back,) = found.validation.batches(1000)
    (kept,) = found.training.batches(1000)
    assert np.bincount(back.labels).tolist() == pytest.approx([120, 60, 20], abs=1)
    assert sorted([*back.feed["x"][:, 0], *kept.feed["x"][:, 0]]) == list(range(1000))


def test_specifications() -> None:
    assert parse_augment("cifar") == parse_augment("flip, crop=4") == Augment(flip=True, crop=4)
    assert parse_augment("cifar,cutout=8") == Augment(flip=True, crop=4, cutout=8)
    assert not parse_augment("none").changes
