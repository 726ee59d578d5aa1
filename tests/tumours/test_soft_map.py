"""Soft tumour maps."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from nnunetv2_tf.tumours.soft_map import shares_of

SHAPE, CLASSES = (20, 24, 22), (1, 2, 3)


def test_shares_add_up_to_one_inside_and_to_nothing_far_away():
    tumour, everywhere = np.zeros(SHAPE, np.int16), np.ones(SHAPE, bool)
    tumour[4:16, 6:18], tumour[8:12, 9:15, 8:14] = 2, 3
    total = shares_of(tumour, CLASSES, everywhere, (1.0, 1.0, 1.0)).sum(axis=0)
    depth, away = (np.asarray(distance_transform_edt(mask)) for mask in (tumour > 0, tumour == 0))
    np.testing.assert_allclose(total[depth > 5], 1, atol=1e-5)
    np.testing.assert_allclose(total[away > 7], 0, atol=1e-6)
    half = np.zeros(SHAPE, bool)
    half[:, :, :11] = True  # an organ that ends in the tumour, which is all there at its surface
    at_surface = shares_of(np.where(half, tumour, 0), CLASSES, half, (1.0, 1.0, 1.0)).sum(axis=0)
    np.testing.assert_allclose(at_surface[8:12, 10:14, 10], 1, atol=0.01)
    hard = shares_of(tumour, CLASSES, everywhere, (0.0, 0.0, 0.0))
    np.testing.assert_array_equal((hard * np.reshape(CLASSES, (3, 1, 1, 1))).sum(axis=0), tumour)
