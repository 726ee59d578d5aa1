"""White matter by brightness, where a channel is known to show it."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.tissue import white_share
from tests.tumours.hosts import ball, organ
from tests.tumours.test_fluid import head


@pytest.mark.parametrize(("channel", "dark"), [("T1w", True), ("T2", False)])
def test_white_matter_is_told_from_grey(channel, dark):
    image, ventricle = head(dark)
    share = white_share(image[None], organ(), ventricle, [channel])
    assert share is not None
    white = ball((20, 24, 22), 14) & ~ventricle & organ()
    grey = organ() & ~ball((20, 24, 22), 14)
    assert share[white].mean() > 0.9
    assert share[grey].mean() < 0.1
    assert not share[~organ() | ventricle].any()


def test_unknown_channels_and_even_tissue_tell_nothing():
    image, _ = head(True)
    assert white_share(image[None], organ(), None, ["CT"]) is None
    assert white_share(np.ones_like(image)[None], organ(), None, ["t1n"]) is None
