"""Rounded maps: no corners, and each class as large as before."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.rounding import closed, rounded

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
        assert (after == value).sum() == (before == value).sum()
    assert after[7, 7, 7] == 0
    assert after[14, 14, 14] == 1
    assert after[8, 14, 14] == 3


def test_nothing_comes_to_lie_where_it_may_not():
    before = cube_in_cube()
    allowed = np.indices(before.shape)[0] < 20
    after = rounded(np.where(allowed, before, 0), allowed, SPACING)
    assert not after[~allowed].any()
    assert (after > 0).sum() == (before[allowed] > 0).sum()


def test_where_there_is_no_room_all_classes_are_smaller():
    before = cube_in_cube()
    allowed = np.indices(before.shape)[0] < 15
    after = rounded(before, allowed & (before > 0), SPACING)
    assert not after[~allowed].any()
    assert (after > 0).sum() == (allowed & (before > 0)).sum()
    shares = [(label == 1).sum() / (label > 0).sum() for label in (before, after)]
    assert shares[1] == pytest.approx(shares[0], abs=0.01)


def test_sizes_can_be_those_of_another_map():
    before = cube_in_cube()
    smaller = np.where(np.indices(before.shape)[1] < 9, 0, before)
    after = rounded(before, np.ones(before.shape, bool), SPACING, as_large_as=smaller)
    for value in (1, 3):
        assert (after == value).sum() == (smaller == value).sum()


def test_slits_are_closed_by_diffuse_classes_and_bays_stay_open():
    label = np.zeros((30, 30, 30), np.int16)
    label[5:25, 5:25, 5:25] = 2
    label[10:15, 10:15, 5:10] = 1
    slit, bay = np.zeros(label.shape, bool), np.zeros(label.shape, bool)
    slit[5:20, 5:25, 16:19] = True
    bay[5:14, 5:25, 5:15] = True
    cut = np.where(slit | bay, 0, label)
    everywhere = np.ones_like(slit)
    after = closed(cut, everywhere, slit | bay, (2,), SPACING)
    assert (after[16:19, 10:20, 16:19] == 2).all()
    assert (after[bay] > 0).mean() < 0.2
    np.testing.assert_array_equal(after[cut > 0], cut[cut > 0])
    at_surface = np.indices(label.shape)[1] < 25  # where the organ ends, a slit is closed to its mouth
    to_mouth = closed(cut * at_surface, at_surface, slit, (2,), SPACING)
    assert (to_mouth[slit] == 2).sum() > (after[slit] == 2).sum()
    np.testing.assert_array_equal(closed(cut, everywhere, np.zeros_like(slit), (2,), SPACING), cut)
    assert not closed(cut, everywhere, slit, (), SPACING)[slit].any()


def test_an_empty_map_and_a_single_voxel_survive():
    empty = np.zeros((9, 9, 9), np.int16)
    assert not rounded(empty, empty == 0, SPACING).any()
    one = empty.copy()
    one[4, 4, 4] = 2
    np.testing.assert_array_equal(rounded(one, empty == 0, SPACING), one)
