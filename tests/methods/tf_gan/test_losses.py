"""Eq. 2 to 5 against plain loops, and what they are 0 for."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.methods.tf_gan.config import PRESETS
from nnunetv2_tf.networks.discriminators import DualHead
from nnunetv2_tf.networks.levels import Levels

SHAPE = (3, 4, 5)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
def test_hinge_against_loops(channels, near):
    x_s, x_s_ = drawn(2, channels, *SHAPE), drawn(2, channels, *SHAPE, seed=1)
    rng = np.random.default_rng(2)
    roi, brain = (torch.from_numpy(rng.random((2, *SHAPE)) < share) for share in (0.3, 0.8))
    margin = drawn(2, *SHAPE, seed=3).abs() if near else 0.4
    expected = []
    for b in range(2):
        excess = []
        for place in np.ndindex(*SHAPE):
            if not brain[b][place] or roi[b][place]:
                continue
            allowed = float(margin[b][place]) if isinstance(margin, torch.Tensor) else margin
            for c in range(channels):
                excess.append(max(0.0, float(abs(x_s[b, c][place] - x_s_[b, c][place])) - allowed))
        expected.append(np.mean(excess))
    np.testing.assert_allclose(losses.hinge(x_s, x_s_, roi, brain, margin), expected, rtol=1e-9)


def test_hinge_lets_small_differences_and_the_tumour_alone():
    x_s_ = drawn(1, 1, *SHAPE)
    x_s = (x_s_ + 0.04).requires_grad_()
    brain, roi = torch.ones(1, *SHAPE, dtype=torch.bool), torch.zeros(1, *SHAPE, dtype=torch.bool)
    loss = losses.hinge(x_s, x_s_, roi, brain, 0.05)
    loss.sum().backward()
    assert float(loss) == 0
    assert x_s.grad is not None
    assert not x_s.grad.any()
    roi[0, 0], far = True, x_s_.clone()
    far[0, 0, 0] += 5.0
    assert float(losses.hinge(far, x_s_, roi, brain, 0.05)) == 0
    assert float(losses.hinge(far, x_s_, ~roi, brain, 0.05)) > 0
    assert float(losses.hinge(far, x_s_, torch.ones_like(roi), brain, 0.05)) == 0  # all of it tumour


def test_hinge_of_one_image_is_that_of_a_batch():
    x_s, x_s_ = drawn(3, 1, *SHAPE), drawn(3, 1, *SHAPE, seed=1)
    roi = torch.from_numpy(np.random.default_rng(2).random((3, *SHAPE)) < 0.3)
    brain = torch.ones_like(roi)
    together = losses.hinge(x_s, x_s_, roi, brain, 0.1)
    for b in range(3):
        one = slice(b, b + 1)
        assert float(losses.hinge(x_s[one], x_s_[one], roi[one], brain[one], 0.1)) == pytest.approx(float(together[b]))


def test_perceptual_against_loops():
    f_s, f_r = ([drawn(2, 3, width, seed=seed + width) for width in (4, 8)] for seed in (0, 10))
    present = torch.tensor([[True, False, True], [True, True, True]])
    for b in range(2):
        terms = []
        for ours, theirs in zip(f_s, f_r, strict=True):
            for c in range(3):
                if present[b, c]:
                    terms.append(np.mean([abs(float(ours[b, c, f] - theirs[b, c, f])) for f in range(ours.shape[2])]))
        assert float(losses.perceptual(f_s, f_r, present)[b]) == pytest.approx(np.mean(terms))
    assert not losses.perceptual(f_s, f_s, present).any()
    assert not losses.perceptual(f_s, f_r, torch.zeros_like(present)).any()  # no class in both


def test_adversarial_against_logarithms():
    real, fake = drawn(2, 1, 2, 2, 2), drawn(2, 1, 2, 2, 2, seed=1)
    d = lambda logit: 1 / (1 + np.exp(-logit.numpy()))  # noqa: E731
    for b in range(2):
        of_d = -(np.log(d(real[b])).mean() + np.log(1 - d(fake[b])).mean()) / 2
        assert float(losses.adversarial_d(real, fake)[b]) == pytest.approx(of_d)
        assert float(losses.adversarial_g(fake)[b]) == pytest.approx(-np.log(d(fake[b])).mean())


def test_a_sure_discriminator_still_teaches():
    """Where log(1 - D) is flat."""
    logits = torch.full((1, 1), -20.0, requires_grad=True)
    losses.adversarial_g(logits).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad) == pytest.approx(-1, abs=1e-6)


def test_total():
    patch, whole, hinge, percept = (torch.tensor(value) for value in (0.5, 0.25, 0.125, 2.0))
    assert float(losses.total(patch, whole, hinge, percept, (10.0, 1.0, 4.0, 3.0))) == pytest.approx(5 + 0.25 + 0.5 + 6)


def test_gradient_penalty_of_a_linear_judge():
    """Whose gradient is known: the weights, seen through each head's mean."""
    weight, x_r = drawn(1, *SHAPE), drawn(2, 1, *SHAPE, seed=1)
    logits, found = losses.penalised(lambda x: (3 * x, (x * weight).sum(dim=(1, 2, 3, 4))[:, None]), x_r)
    torch.testing.assert_close(logits[0], 3 * x_r)
    slope = weight + 3 / weight.numel()
    np.testing.assert_allclose(found.detach(), [float(slope.square().sum()) / 2] * 2, rtol=1e-9)


def test_the_penalty_teaches_as_one_that_is_derived_twice():
    """Value and gradients of a real discriminator, against two passes backwards."""
    torch.manual_seed(0)
    discriminator = DualHead(2, (4, 6, 8), Levels.of((16, 16, 16), (1.0, 1.0, 1.0), 4), 2, spectral=True).double()
    x_r = drawn(2, 2, 16, 16, 16, seed=1)
    other = copy.deepcopy(discriminator)
    logits, found = losses.penalised(discriminator, x_r)
    (logits[0].mean() + found.sum()).backward()
    x_r = x_r.clone().requires_grad_()
    expected = other(x_r)
    score = torch.stack([logit.flatten(1).mean(dim=1).sum() for logit in expected]).sum()
    (slope,) = torch.autograd.grad(score, x_r, create_graph=True)
    squares = slope.square().flatten(1).sum(dim=1) / 2
    (expected[0].mean() + squares.sum()).backward()
    torch.testing.assert_close(logits, list(expected))
    torch.testing.assert_close(found, squares)
    for (name, weight), twin in zip(discriminator.named_parameters(), other.parameters(), strict=True):
        if twin.grad is not None:
            assert weight.grad is not None, name
            torch.testing.assert_close(weight.grad, twin.grad, msg=name)


def test_judges_with_instance_norm_are_not_penalised():
    with pytest.raises(ValueError, match="wants spectral norm"):
        replace(PRESETS["paper"], r1=1.0)
