"""Products of matrices do what filters do."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, spline_filter

from nnunetv2_tf.geometry.separable import TRUNCATE, smoothed, spline_weights

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("sigma", [(1.0, 1.0, 1.0), (4.0, 0.5, 2.0), (0.0, 3.0, 0.0), (0.1, 0.1, 0.1)])
@pytest.mark.parametrize("shape", [(70, 33, 140), (5, 1, 3), (1, 200, 2)])
def test_smoothing_is_a_gaussian_filter(sigma, shape):
    volume = RNG.normal(size=shape).astype(np.float32)
    expected = gaussian_filter(volume.astype(np.float64), sigma, truncate=TRUNCATE)
    np.testing.assert_allclose(smoothed(volume, sigma), expected, atol=2e-6)


@pytest.mark.parametrize("sigma", [(1.0, 1.0, 1.0), (4.0, 0.0, 2.0), (0.0, 0.0, 0.0)])
def test_a_box_of_the_result_is_the_same(sigma):
    volume = RNG.normal(size=(40, 80, 30)).astype(np.float32)
    whole = smoothed(volume, sigma)
    for box in ((slice(10, 20), slice(0, 80), slice(29, 30)), (slice(0, 1), slice(70, 80), slice(5, 25))):
        np.testing.assert_allclose(smoothed(volume, sigma, box), whole[box], atol=1e-6)


def test_masks_are_smoothed_as_numbers():
    mask = RNG.random((20, 20, 20)) > 0.5
    expected = gaussian_filter(mask.astype(np.float64), 1.5)
    np.testing.assert_allclose(smoothed(mask, (1.5,) * 3), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(90, 33, 70), (1, 2, 3)])
def test_spline_weights_are_those_of_a_spline_filter(shape):
    volume = (100 * RNG.normal(size=shape)).astype(np.float32)
    expected = spline_filter(volume.astype(np.float64), 3, mode="mirror")
    np.testing.assert_allclose(spline_weights(volume), expected, atol=5e-3)
