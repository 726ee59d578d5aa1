"""Shares of a tumour that a segmentor recognises, and copies."""

import numpy as np
import pytest

from nnunetv2_tf.quality.copies import likeness
from nnunetv2_tf.quality.recognition import recognised

TUMOUR = np.zeros((6, 6, 6), int)
TUMOUR[:2], TUMOUR[2:4] = 1, 2  # 72 voxels each


def test_shares_of_all_and_of_each_class():
    segmentation = TUMOUR.copy()
    segmentation[0] = 0  # half of class 1 is missed
    segmentation[3] = 1  # half of class 2 is called another class
    segmentation[5] = 2  # false alarms do not count
    found = recognised(segmentation, TUMOUR, (1, 2))
    assert found.tumour == pytest.approx(0.75)
    assert found.classes == pytest.approx({"1": 0.5, "2": 0.5})


def test_labels_that_are_no_tumour_do_not_count():
    assert recognised(np.where(TUMOUR > 0, 3, 0), TUMOUR, (1, 2)).tumour == 0


def test_likeness_is_a_correlation_within_classes():
    rng = np.random.default_rng(0)
    donor = rng.normal(size=(1, 6, 6, 6)) + TUMOUR
    assert likeness(3 * donor + 2, donor, TUMOUR) == pytest.approx(1)
    assert abs(likeness(rng.normal(size=(1, 6, 6, 6)) + 5 * TUMOUR, donor, TUMOUR) or 0) < 0.3  # classes alone: no copy
    inside = TUMOUR == 1
    expected = np.corrcoef(donor[0][inside], (donor[0] ** 3)[inside])[0, 1]
    assert likeness(donor**3, donor, np.where(inside, 1, 0)) == pytest.approx(expected)
    assert likeness(donor, donor, np.where(np.arange(6) == 9, 1, 0) * TUMOUR) is None
    assert likeness(np.ones_like(donor), donor, TUMOUR) is None
