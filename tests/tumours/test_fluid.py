"""Fluid is found by brightness where a channel is known to show it."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.fluid import find_fluid, wide
from tests.tumours.hosts import SHAPE, ball, organ

SPACING = (3.0, 3.0, 3.0)


def head(dark: bool) -> tuple[np.ndarray, np.ndarray]:
    """White matter within grey matter, a ventricle, and its true place."""
    rng = np.random.default_rng(0)
    ventricle = ball((20, 24, 22), 5)
    levels = (0.3, 0.65, 1.0) if dark else (1.0, 0.65, 0.3)
    image = np.where(ball((20, 24, 22), 14), levels[2], levels[1])
    image = np.where(ventricle, levels[0], image) + 0.05 * rng.normal(size=SHAPE)
    return np.where(organ(), image, 0).astype(np.float32), ventricle


@pytest.mark.parametrize(("channel", "dark"), [("T1w", True), ("t1n", True), ("FLAIR", True), ("T2", False)])
def test_the_ventricle_is_found(channel, dark):
    image, ventricle = head(dark)
    fluid = find_fluid(image[None], organ(), [channel], SPACING)
    assert fluid is not None
    assert 2 * (fluid & ventricle).sum() / (fluid.sum() + ventricle.sum()) > 0.9
    assert not fluid[~organ()].any()


def test_the_most_telling_channel_is_looked_at_and_unknown_ones_are_not():
    (t1, ventricle), (t2, _) = head(True), head(False)
    fluid = find_fluid(np.stack([t2 * 0 + 1, t1]), organ(), ["t2w", "t1n"], SPACING)
    assert fluid is not None
    assert (fluid & ventricle).sum() > 0.9 * ventricle.sum()
    assert find_fluid(t1[None], organ(), ["CT"], SPACING) is None


def test_small_dark_spots_are_no_fluid():
    image, _ = head(True)
    image[12, 12, 22] = 0.1
    fluid = find_fluid(image[None], organ(), ["t1n"], SPACING)
    assert fluid is not None
    assert not fluid[12, 12, 22]


def test_nothing_to_see_is_no_fluid():
    for image, where in ((np.ones(SHAPE), organ()), (head(True)[0], organ() & False)):
        fluid = find_fluid(image[None], where, ["t1n"], SPACING)
        assert fluid is not None
        assert not fluid.any()


def test_wide_fluid_is_kept_whole_and_narrow_is_left_out():
    slab = np.zeros((30, 30, 30), bool)
    slab[3:27, 3:27, 5:13] = True  # 8 mm
    sulcus = np.zeros_like(slab)
    sulcus[3:27, 3:27, 20:24] = True  # 4 mm
    found = wide(slab | sulcus, (1.0, 1.0, 1.0))
    assert not found[sulcus].any()
    assert found[slab].mean() > 0.75  # but for its edges
    assert found[8:22, 8:22, 6:12].all()
    assert not found[~slab].any()
    assert not wide(sulcus, (1.0, 1.0, 1.0)).any()
