"""The feather against its formula, in numpy and in torch; distances against those of the whole volume."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.geometry.feather import distance_to, feather, feather_around, signed_distance
from tests.scenes import Built


def test_feather_by_hand():
    tumour = np.zeros((1, 1, 9), bool)
    tumour[0, 0, 0] = True
    row = feather_around(tumour, 6.0, (1, 1, 2.0))[0, 0]
    np.testing.assert_allclose(row, [1, 0.75, 0.25, 0, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(feather_around(tumour, 0.0, (1, 1, 2.0)), tumour)
    assert not feather_around(tumour & False, 6.0, (1, 1, 1)).any()


def test_numpy_and_torch_agree_and_no_reach_is_everywhere():
    distance = np.array([0.0, 3.0, 6.0, 9.0], np.float32)
    assert feather(distance, 6.0) == pytest.approx([1, 0.5, 0, 0], abs=1e-6)
    assert feather(torch.from_numpy(distance), 6.0).tolist() == pytest.approx([1, 0.5, 0, 0], abs=1e-6)
    assert feather(distance, None).tolist() == feather(torch.from_numpy(distance), None).tolist() == [1, 1, 1, 1]


def test_distances(scene: Built):
    tumour = scene.cases[0].tumour()
    spacing = (2.0, 1.0, 0.5)
    expected = np.minimum(np.asarray(distance_transform_edt(tumour == 0, sampling=spacing)), 5.0)
    np.testing.assert_allclose(distance_to(tumour, spacing, 5.0), expected, rtol=1e-6)


def test_signed_distances_are_below_zero_inside():
    mask = np.zeros((9, 3, 3), bool)
    mask[3:6] = True
    np.testing.assert_array_equal(signed_distance(mask, (2.0, 1.0, 1.0))[:, 1, 1], [6, 4, 2, -2, -4, -2, 2, 4, 6])
