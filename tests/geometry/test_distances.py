"""Distances against scipy's."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.geometry.distances import depth_in, distance_within


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (6.0, 0.9, 0.9), (0.5, 2.0, 1.0)])
@pytest.mark.parametrize("limit", [0.4, 3.0, 6.0, 40.0])  # by shifts, and by a transform
def test_within_the_limit_they_are_exact(spacing, limit):
    rng = np.random.default_rng(0)
    for chance in (0.002, 0.05):
        mask = rng.random((14, 30, 25)) < chance
        expected = np.minimum(np.asarray(distance_transform_edt(~mask, sampling=spacing)), limit)
        np.testing.assert_allclose(distance_within(mask, spacing, limit), expected, atol=1e-4)


def test_everything_is_far_from_nothing():
    empty = np.zeros((3, 4, 5), bool)
    assert (distance_within(empty, (1, 1, 1), 6.0) == 6.0).all()
    assert not distance_within(~empty, (1, 1, 1), 6.0).any()
    assert (distance_within(empty, (1, 1, 1), 0.0) == 0.0).all()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (6.0, 0.9, 0.9)])
def test_depth_counts_from_the_mask_and_from_the_volume(spacing):
    mask = np.random.default_rng(0).random((14, 30, 25)) < 0.95
    padded = np.zeros((18, 34, 29), bool)
    padded[2:-2, 2:-2, 2:-2] = mask
    expected = np.asarray(distance_transform_edt(padded, sampling=spacing))[2:-2, 2:-2, 2:-2]
    np.testing.assert_allclose(depth_in(mask, spacing), expected, atol=1e-4)
