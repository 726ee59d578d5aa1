"""Bands of images."""

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from nnunetv2_tf.methods.tf_gan.bands import bands_of, fine_of


def test_bands_against_scipy():
    """Inside, where all is visible; they add up to the image everywhere."""
    x = np.random.default_rng(0).normal(size=(1, 2, 12, 12, 12))
    found = bands_of(torch.from_numpy(x), torch.ones(1, 1, 12, 12, 12, dtype=torch.float64))
    once = np.stack([uniform_filter(channel, 3) for channel in x[0]])
    twice = np.stack([uniform_filter(channel, 3) for channel in once])
    expected = np.concatenate([x[0] - once, once - twice, twice])
    inside = (slice(None), *(slice(3, -3),) * 3)
    np.testing.assert_allclose(found[0].numpy()[inside], expected[inside], atol=1e-9)
    np.testing.assert_allclose(found[0].numpy().reshape(3, 2, 12, 12, 12).sum(axis=0), x[0], atol=1e-9)


def test_darkness_does_not_leak_into_bands():
    visible = torch.zeros(1, 1, 10, 10, 10)
    visible[..., :5] = 1
    x = torch.where(visible > 0, 0.5, -1.0)
    fine, texture, rest = bands_of(x, visible)[0]
    seen = visible[0, 0] > 0
    for band, value in ((fine, 0.0), (texture, 0.0), (rest, 0.5)):
        torch.testing.assert_close(band[seen], torch.full_like(band[seen], value), atol=1e-4, rtol=0)


def test_the_fine_band_alone():
    x, weights = torch.rand(2, 3, 8, 8, 8), torch.rand(2, 1, 8, 8, 8)
    torch.testing.assert_close(fine_of(x, weights), bands_of(x, weights)[:, :3])
