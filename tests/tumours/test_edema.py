"""Edema that spreads from cores: as large as it was, through white matter first, and not where it may not be."""

import numpy as np

from nnunetv2_tf.tumours.edema import edema_front
from tests.tumours.hosts import SHAPE, ball, organ

SPACING = (3.0, 3.0, 3.0)
CORE = ball((20, 24, 22), 4)
EDEMA = np.where(ball((20, 30, 22), 7) & ~CORE, 2, 0).astype(np.int16)


def test_it_is_as_large_as_it_was_and_drawn_around_the_core():
    front = edema_front(CORE, EDEMA, organ() & ~CORE, None, SPACING)
    assert front.dtype == EDEMA.dtype
    assert (front == 2).sum() == (EDEMA == 2).sum()
    assert not front[CORE].any()
    before, after = (np.linalg.norm(np.argwhere(part > 0) - (20, 24, 22), axis=1).mean() for part in (EDEMA, front))
    assert after < before - 0.3
    both = 2 * ((front > 0) & (EDEMA > 0)).sum() / ((front > 0).sum() + (EDEMA > 0).sum())
    assert both > 0.7  # and still the donor's


def test_it_goes_through_white_matter_first_and_not_into_fluid():
    white = np.zeros(SHAPE, np.float32)
    white[:, :, 22:] = 1
    fluid = ball((20, 16, 24), 3)
    front = edema_front(CORE, EDEMA, organ() & ~CORE & ~fluid, white, SPACING) > 0
    assert not front[fluid].any()
    alike = edema_front(CORE, EDEMA, organ() & ~CORE & ~fluid, None, SPACING) > 0
    assert front[:, :, 22:].sum() > 1.5 * front[:, :, :22].sum()
    assert alike[:, :, 22:].sum() < 1.3 * alike[:, :, :22].sum()


def test_where_there_is_no_room_it_is_smaller():
    narrow = ball((20, 24, 22), 5) & ~CORE
    front = edema_front(CORE, EDEMA, narrow, None, SPACING) > 0
    np.testing.assert_array_equal(front, narrow)


def test_each_place_takes_the_class_that_was_nearest():
    two = np.where((EDEMA > 0) & (np.indices(SHAPE)[2] >= 22), 4, EDEMA).astype(np.int16)
    front = edema_front(CORE, two, organ() & ~CORE, None, SPACING)
    assert set(np.unique(front)) == {0, 2, 4}
    assert (np.argwhere(front == 4)[:, 2] >= 22).all()
    assert (np.argwhere(front == 2)[:, 2] <= 22).all()  # some are as near to one as to the other


def test_a_core_of_one_voxel_is_a_core():
    core = np.zeros(SHAPE, bool)
    core[20, 24, 22] = True
    front = edema_front(core, EDEMA, organ() & ~core, None, (0.9, 0.9, 0.9))
    assert (front > 0).sum() == (EDEMA > 0).sum()
