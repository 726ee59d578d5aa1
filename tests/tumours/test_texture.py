"""Handcrafted texture against scipy."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.tumours.texture import texture


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.5)])
@pytest.mark.parametrize("seed", range(3))
def test_texture_against_scipy(seed, spacing):
    shape, rng = (30, 44, 36), np.random.default_rng(seed)
    first, second = (3.0, 6.0, 9.0, 12.0, 15.0)[rng.integers(5)], (4.0, 7.0)[rng.integers(2)]
    noise = gaussian_filter(rng.random(shape), [first / step for step in spacing], mode="reflect")
    low, high = rng.uniform(0.04, 0.06), rng.uniform(0.23, 0.27)
    often = low + (high - low) * (noise - noise.min()) / (noise.max() - noise.min())
    seeds = gaussian_filter((rng.random(shape) < often).astype(float), [second / step for step in spacing])
    expected = np.clip(seeds * rng.uniform(0.5, 0.55) / seeds[seeds > 0.12].mean(), 0.01, 1)
    np.testing.assert_allclose(texture(shape, spacing, np.random.default_rng(seed)), expected, atol=1e-3)
