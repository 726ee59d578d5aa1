"""Blocks of voxels: where they lie, what their means are, and the way back."""

import numpy as np

from nnunetv2_tf.geometry.blocks import Blocks
from nnunetv2_tf.geometry.boxes import box_from


def test_blocks_are_about_as_large_as_wanted():
    blocks = Blocks.near(4.0, (5.0, 1.0, 0.9), (10, 9, 9))
    assert (blocks.factor, blocks.shape) == ((1, 4, 4), (10, 3, 3))
    np.testing.assert_allclose(blocks.spacing, (5.0, 4.0, 3.6))
    np.testing.assert_allclose(blocks.to_fine @ [1, 1, 1, 1], [1, 5.5, 5.5, 1])  # the middle of voxels 4 to 7


def test_means_count_what_lies_beyond_as_nothing():
    blocks = Blocks.near(2.0, (1.0, 1.0, 1.0), (4, 4, 5))
    means = blocks.mean(np.ones((4, 4, 5)))
    np.testing.assert_array_equal(means[..., :2], 1)
    np.testing.assert_array_equal(means[..., 2], 0.5)


def test_even_slopes_survive_the_way_there_and_back():
    blocks = Blocks.near(2.0, (1.0, 1.0, 1.0), (12, 12, 12))
    slope = np.indices((12, 12, 12)).sum(axis=0).astype(np.float32)
    box = box_from((2, 3, 4), (9, 10, 9))
    np.testing.assert_allclose(blocks.spread(blocks.mean(slope), box), slope[box], atol=1e-4)


def test_repeated_blocks_are_the_values_of_their_voxels():
    blocks = Blocks.near(2.0, (1.0, 1.0, 2.0), (5, 4, 3))
    values = np.arange(np.prod(blocks.shape)).reshape(blocks.shape)
    found = blocks.repeated(values)
    assert found.shape == (5, 4, 3)
    for place in np.ndindex(5, 4, 3):
        assert found[place] == values[place[0] // 2, place[1] // 2, place[2]]
