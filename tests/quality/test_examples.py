"""What yardsticks see: the tumour, and what is near it."""

import numpy as np
import pytest

from nnunetv2_tf.quality.examples import VIEW, example, matched_by_volume
from tests.quality.spots import spot


def test_only_what_is_near_the_tumour_is_in_view():
    image = np.ones((1, 40, 40, 40), np.float32)
    tumour, organ = np.zeros((40, 40, 40), int), np.ones((40, 40, 40), bool)
    tumour[18:22, 18:22, 18:22] = 2
    organ[:, :, 24:] = False
    seen = example("a", False, ("h", "d", "h"), image, tumour, organ, (2.0, 1.0, 4.0))
    assert seen.groups == ("h", "d")
    assert seen.volume_ml == pytest.approx(64 * 8 / 1000)
    where = seen.image[0] > 0
    np.testing.assert_array_equal(where, seen.organ)
    assert seen.depth[where].max() <= VIEW
    assert not seen.organ[..., -2:].any()  # beyond the organ
    assert seen.depth[seen.tumour > 0].max() < 0 < seen.depth[seen.tumour == 0].min()


def test_made_ones_are_chosen_to_be_as_large_as_real_ones():
    real = [spot(index, True, (f"p{index}",), radius=radius) for index, radius in enumerate((4, 5, 6, 7))]
    made = [spot(index, False, (f"h{index}",), radius=radius) for index, radius in enumerate((1.5, 4, 4.1, 4.2, 7, 10))]
    chosen = matched_by_volume(real, made)
    assert [one.groups[0] for one in chosen] == ["h1", "h2", "h3", "h4"]
    assert matched_by_volume(real, []) == []
    assert matched_by_volume([], made) == []


def test_no_real_one_takes_more_than_its_share():
    real = [spot(0, True, ("p",), radius=4), spot(1, True, ("q",), radius=8)]
    made = [spot(index, False, (f"h{index}",), radius=4) for index in range(6)]
    assert len(matched_by_volume(real, made)) == 3
