"""What the teacher is asked, and the average of the weights that is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_tasks import pruned, samples, source, weights
from torch import nn

from onnxprune.errors import UsageError
from onnxprune.training import TrainSettings, train
from onnxprune.training.images import Frame
from onnxprune.training.optimization import Average
from onnxprune.training.pool import Pool
from onnxprune.training.student import Runner, make_student
from onnxprune.training.teaching import teaching_of

QUICK = TrainSettings(epochs=2, batch=32, lr=0.01, seed=3, features=("a",), validation=0.2)
FRAME = Frame(channels_last=False, black=torch.zeros(3))


def test_scores_are_averaged_over_both_and_inner_values_are_not() -> None:
    images = torch.from_numpy(np.random.default_rng(0).standard_normal((12, 3, 8, 8)).astype(np.float32))
    runner = Runner(torch.device("cpu"), half=False)
    own = replace(QUICK, distill=1.0)
    student = make_student(source(), source(), Pool((images,), None), own, runner, rank_batch=12)
    plain = teaching_of(student, runner, [FRAME], mirror=False)
    both = teaching_of(student, runner, [FRAME], mirror=True)
    assert plain is not None
    assert both is not None
    seen, turned, found = plain([images]), plain([images.flip(3)]), both([images])
    assert not torch.allclose(seen[0], turned[0], atol=1e-3)
    torch.testing.assert_close(found[0], (seen[0] + turned[0]) / 2)
    torch.testing.assert_close(found[1], seen[1])
    assert not found[0].requires_grad


def test_a_training_with_a_mirroring_teacher_is_another_one() -> None:
    data = samples(200, labelled=False)
    first, second = (
        train(pruned(), data, replace(QUICK, mirror=mirror), teacher=source()) for mirror in (False, True)
    )
    assert [e.loss for e in first.history[1:]] != [e.loss for e in second.history[1:]]
    assert second.account["settings"]["mirror"] is True


def test_without_labels_the_mean_is_validated() -> None:
    """A student that is its teacher does not always say what the mean over both images says."""
    data, own = samples(200, labelled=False), replace(QUICK, lr=1e-6, keep="last", batch_norm=False)
    plain, both = (train(source(), data, replace(own, mirror=m), teacher=source()) for m in (False, True))
    assert plain.history[0].metric == 1.0
    assert both.history[0].metric < 1.0


def test_a_mirroring_teacher_needs_a_teacher_images_and_classes() -> None:
    with pytest.raises(UsageError, match="teacher"):
        train(pruned(), samples(64), replace(QUICK, mirror=True))
    images = (torch.from_numpy(np.random.default_rng(0).standard_normal((12, 3, 8, 8)).astype(np.float32)),)
    runner = Runner(torch.device("cpu"), half=False)
    student = make_student(source(), source(), Pool(images, None), QUICK, runner, rank_batch=12)
    with pytest.raises(UsageError, match="no input that takes images"):
        teaching_of(student, runner, [None], mirror=True)
    unscored = replace(student.objective, outputs=0)
    with pytest.raises(UsageError, match="no output that scores classes"):
        teaching_of(replace(student, objective=unscored), runner, [FRAME], mirror=True)


def test_images_are_mirrored_along_their_width() -> None:
    """Whichever axis that is."""
    images = (torch.randn(12, 3, 8, 8),)
    runner = Runner(torch.device("cpu"), half=False)
    student = make_student(source(), source(), Pool(images, None), QUICK, runner, rank_batch=12)
    for last, axis in ((False, 3), (True, 2)):
        teaching = teaching_of(student, runner, [FRAME._replace(channels_last=last), None], mirror=True)
        assert teaching is not None
        assert teaching.mirrored == (axis, None)
        assert teaching.averaged == (True, False)


def averaged(values: list[float], decay: float, start: int) -> float:
    module = nn.Linear(1, 1, bias=False)
    average = Average(module, decay, start)
    for value in values:
        nn.init.constant_(module.weight, value)
        average.update()
    return float(average.module.weight)


@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.parametrize("start", [0, 1, 4])
def test_behind_its_start_an_average_is_a_plain_one(decay: float, start: int) -> None:
    values = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0]
    assert averaged(values, decay, start) == pytest.approx(np.mean(values[start:]), abs=1e-6)


def test_before_its_start_it_is_a_moving_one() -> None:
    values = [1.0] * 40 + [0.0]
    assert averaged(values, 0.0, 99) == 0.0
    assert averaged(values, 0.5, 99) == pytest.approx(0.5)


def test_the_plain_average_is_what_is_kept() -> None:
    """Over all steps, whatever the moving one would be; over none, the moving one."""

    def trained(**more: float) -> dict[str, np.ndarray]:
        own = replace(QUICK, epochs=3, keep="last", **more)
        return weights(train(pruned(), samples(200), own, teacher=source()).model)

    whole, again, last, moving = (
        trained(swa=1.0, ema=0.998),
        trained(swa=1.0, ema=0.0),
        trained(swa=0.3),
        trained(),
    )
    assert all(np.array_equal(whole[name], again[name]) for name in whole)
    for other in (last, moving):
        assert any(not np.array_equal(whole[name], other[name]) for name in whole)
    start = weights(pruned())
    way = {k: [float(np.abs(w[k] - start[k]).sum()) for w in (whole, last)] for k in start}
    assert sum(w[0] for w in way.values()) < sum(w[1] for w in way.values()), (
        "the end is farther from the start"
    )
    with pytest.raises(UsageError, match="--swa"):
        replace(QUICK, swa=1.5)
