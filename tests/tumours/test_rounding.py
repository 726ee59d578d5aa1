"""Rounded maps: no corners, and each class as large as before."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.rounding import rounded

SPACING = (1.0, 1.0, 1.0)


def cube_in_cube() -> np.ndarray:
    label = np.zeros((30, 30, 30), np.int16)
    label[7:23, 7:23, 7:23] = 3
    label[11:19, 11:19, 11:19] = 1
    return label


def test_corners_go_and_sizes_stay():
    before = cube_in_cube()
    after = rounded(before, np.ones(before.shape, bool), SPACING)
    assert after.dtype == before.dtype
    for value in (1, 3):
        assert (after == value).sum() == pytest.approx((before == value).sum(), rel=0.05)
    assert after[7, 7, 7] == 0
    assert after[14, 14, 14] == 1
    assert after[8, 14, 14] == 3


def test_nothing_comes_to_lie_where_it_may_not():
    before = cube_in_cube()
    allowed = np.indices(before.shape)[0] < 20
    after = rounded(np.where(allowed, before, 0), allowed, SPACING)
    assert not after[~allowed].any()
    assert (after > 0).sum() == pytest.approx((before[allowed] > 0).sum(), rel=0.05)


def test_an_empty_map_and_a_single_voxel_survive():
    empty = np.zeros((9, 9, 9), np.int16)
    assert not rounded(empty, empty == 0, SPACING).any()
    one = empty.copy()
    one[4, 4, 4] = 2
    np.testing.assert_array_equal(rounded(one, empty == 0, SPACING), one)
