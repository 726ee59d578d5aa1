"""Eq. 2 to 5 against plain loops, and what they are 0 for."""

import numpy as np
import pytest
import torch

from nnunetv2_tf.methods.tf_gan import losses
from nnunetv2_tf.networks.discriminators import Verdict

SHAPE = (3, 4, 5)
SIZES = ((3, 4, 5), (2, 2, 3))


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


def verdict(seed: int) -> Verdict:
    """Of two images by two patch heads, of which little is visible."""
    rng = np.random.default_rng(seed)
    visible = tuple(torch.from_numpy(rng.random((2, 1, *size)) * (rng.random((2, 1, *size)) < 0.4)) for size in SIZES)
    places = tuple(drawn(2, 1, *size, seed=seed + index) for index, size in enumerate(SIZES))
    return Verdict(places, visible, drawn(2, 1, seed=seed + 9))


def test_adversarial_against_logarithms():
    """Of visible places, by how visible they are; patch heads count alike."""
    real, fake = verdict(0), verdict(20)

    def expected(given: Verdict, b: int, truth: bool) -> tuple[float, float]:
        def entropy(logit: float) -> float:
            d = 1 / (1 + np.exp(-logit))
            return -np.log(d if truth else 1 - d)

        heads = []
        for logits, visible in zip(given.places, given.visible, strict=True):
            total = weights = 0.0
            for place in np.ndindex(*logits.shape[2:]):
                total += float(visible[b, 0][place]) * entropy(float(logits[b, 0][place]))
                weights += float(visible[b, 0][place])
            heads.append(total / weights)
        return float(np.mean(heads)), entropy(float(given.whole[b, 0]))

    of_d, of_g = losses.adversarial_d(real, fake), losses.adversarial_g(fake)
    for b in range(2):
        for head in (0, 1):
            right, wrong = expected(real, b, True)[head], expected(fake, b, False)[head]
            assert float(of_d[head][b]) == pytest.approx((right + wrong) / 2)
            assert float(of_g[head][b]) == pytest.approx(expected(fake, b, True)[head])


def test_dark_places_say_nothing():
    """However large their logits are."""
    given = verdict(0)
    changed = [torch.where(seen > 0, logits, 1e3) for logits, seen in zip(given.places, given.visible, strict=True)]
    other = given._replace(places=tuple(changed))
    torch.testing.assert_close(losses.adversarial_g(other)[0], losses.adversarial_g(given)[0])
    torch.testing.assert_close(other.scores(), given.scores())
    nothing = given._replace(visible=tuple(torch.zeros_like(seen) for seen in given.visible))
    assert not losses.adversarial_g(nothing)[0].any()


def test_a_sure_discriminator_still_teaches():
    """Where log(1 - D) is flat."""
    logits = torch.full((1, 1), -20.0, requires_grad=True)
    losses.adversarial_g(verdict(0)._replace(whole=logits))[1].sum().backward()
    assert logits.grad is not None
    assert float(logits.grad) == pytest.approx(-1, abs=1e-6)


def test_total():
    terms = {name: torch.tensor(value) for name, value in {"patch": 0.5, "whole": 0.25, "hinge": 0.125}.items()}
    assert float(losses.total(terms, {"patch": 10.0, "whole": 1.0, "hinge": 4.0})) == pytest.approx(5 + 0.25 + 0.5)
