"""Real patches on the device, augmented."""

import numpy as np
import torch

from nnunetv2_tf.training.augmentation import RandomAffine
from nnunetv2_tf.training.real_patches import REAL, Real, places_of
from tests.methods.pix2pix.examples import SPACING, batch

CPU = torch.device("cpu")


def test_as_they_are_without_a_stream():
    one = batch()
    real = Real.of(one, CPU, SPACING, None)
    for name, field in zip(REAL, ("image", "tumour", "body", "organ", "distance"), strict=True):
        assert torch.equal(getattr(real, field), one[name])
    assert places_of(one) == [0, 1]


def test_a_patch_is_augmented_the_same_whoever_has_it():
    one = batch()
    last = {name: value[1:] for name, value in one.items()}
    whole, part = (Real.of(each, CPU, SPACING, [3, 4]) for each in (one, last))
    assert torch.equal(whole.image[1:], part.image)
    assert torch.equal(whole.tumour[1:], part.tumour)
    assert not torch.equal(whole.image, one["real_image"])


def test_what_a_rotation_brings_in_is_far_from_the_tumour():
    draws = (RandomAffine.sample(np.random.default_rng(seed), SPACING) for seed in range(20))
    turned = next(draw for draw in draws if draw.matrix is not None)
    real = Real.of(batch(number=1), CPU, SPACING, None).augmented([turned], SPACING)
    assert float(real.distance.max()) > 100  # in a corner
    assert not (real.tumour > 0)[real.distance > 100].any()
