"""Moving averages of weights against a plain loop."""

import torch

from nnunetv2_tf.training.moving_average import MovingAverage


def test_it_follows_ever_more_slowly():
    weights = [{"w": torch.randn(3, generator=torch.Generator().manual_seed(step))} for step in range(30)]
    average = MovingAverage(weights[0], 0.5)
    expected = weights[0]["w"].clone()
    for step, now in enumerate(weights):
        average.follow(now, step)
        kept = min(0.5, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * now["w"]
    torch.testing.assert_close(average.weights["w"], expected)


def test_without_decay_it_stays_and_what_it_began_with_is_not_changed():
    weights = {"w": torch.zeros(2)}
    average = MovingAverage(weights, 0.0)
    average.follow({"w": torch.ones(2)}, 0)
    assert not average.weights["w"].any()
    other = MovingAverage(weights, 0.9)
    other.follow({"w": torch.ones(2)}, 0)
    assert not weights["w"].any()
    average.restore(other.weights)
    assert torch.equal(average.weights["w"], other.weights["w"])
