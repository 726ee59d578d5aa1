"""Tiles: where they begin, that they cover what is wanted, and that a network comes out as in one piece."""

import numpy as np
import torch
from torch import nn

from nnunetv2_tf.geometry.boxes import box_from
from nnunetv2_tf.networks.tiling import apply_tiled, tile_of, tile_starts


def test_tiles_cover_all_that_was_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(50):
        shape = tuple(rng.integers(8, 60, 3).tolist())
        low = [int(rng.integers(0, size)) for size in shape]
        high = [int(rng.integers(a + 1, size + 1)) for a, size in zip(low, shape, strict=True)]
        box, covered = tuple(slice(a, b) for a, b in zip(low, high, strict=True)), np.zeros(shape, int)
        starts = tile_starts(box, shape, (16, 16, 16))
        for start in starts:
            covered[tuple(slice(max(0, first), max(0, first + 16)) for first in start)] += 1
        assert covered[box].min() >= 1
        longest = max(b - a for a, b in zip(low, high, strict=True))
        assert (len(starts) == 1) == (longest <= 16)


def test_what_sees_each_voxel_alone_comes_out_as_in_one_piece():
    """Weights of tiles add up to one wherever the tiles lie."""
    image = torch.randn(2, 30, 26, 40, generator=torch.Generator().manual_seed(0))
    box, size = box_from((3, 0, 5), (28, 26, 39)), (16, 16, 16)
    output = apply_tiled(nn.Tanh(), lambda start: (tile_of(image, start, size)[None],), box, image.shape[1:], size)
    torch.testing.assert_close(output, torch.tanh(image)[(slice(None), *box)])


def test_instance_norms_share_the_statistics_of_all_tiles_and_forget_them():
    rng = torch.Generator().manual_seed(1)
    image = torch.cat([torch.randn(1, 16, 16, 16, generator=rng), 5 + torch.randn(1, 16, 16, 16, generator=rng)], dim=3)
    norm, size = nn.InstanceNorm3d(1).eval(), (16, 16, 16)
    box = box_from((0, 0, 0), image.shape[1:])
    output = apply_tiled(norm, lambda start: (tile_of(image, start, size)[None],), box, image.shape[1:], size)
    assert float(output[..., 16:].mean() - output[..., :16].mean()) > 1  # each by itself they would have the same mean
    assert norm.running_mean is None
    assert not norm.track_running_stats


def test_a_tile_beyond_the_image_is_zero_there():
    image = torch.ones(1, 6, 6, 6)
    tile = tile_of(image, (-2, 3, 0), (4, 4, 4))
    expected = np.zeros((4, 4, 4))
    expected[2:, :3, :] = 1
    np.testing.assert_array_equal(tile[0].numpy(), expected)
