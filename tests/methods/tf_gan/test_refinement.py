"""Patches and tiles: one patch where it fits, no seams where it does not, and nothing beyond what was asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.geometry.boxes import Box, box_around
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.tf_gan.networks import one_hot
from nnunetv2_tf.methods.tf_gan.refinement import added_by, refine
from nnunetv2_tf.networks.tiling import borders, tile_starts
from nnunetv2_tf.quality.boundary import seam_ratio
from tests.methods.tf_gan.examples import SIZE, SPACING, ball, generator


def case(shape: tuple[int, ...], seed: int = 0) -> Site:
    """A smooth image with a step, a ball of tumour, and no air."""
    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=shape), 2)[None].astype(np.float32) * 8
    image[:, :, shape[1] // 2 :] += 1
    tumour = torch.from_numpy(2 * ball(min(shape) / 3, shape).astype(np.int16))
    everywhere = torch.ones(shape, dtype=torch.bool)
    none = torch.zeros_like(tumour)
    return Site(torch.from_numpy(image), none, everywhere, tumour, (), SPACING, everywhere, everywhere.numel())


def seen(site: Site) -> tuple[torch.Tensor, torch.Tensor]:
    """What the generator takes, (C, Z, Y, X) and (K, Z, Y, X)."""
    return site.image / 2, one_hot(site.tumour[None], (1, 2, 3))[0]


def box_of(radius: float, shape: tuple[int, ...]) -> Box:
    return box_around(ball(radius, shape), (0, 0, 0))


@pytest.mark.parametrize("shape", [(16, 16, 16), (20, 24, 18), (12, 20, 16)])
def test_one_patch_is_the_generator_itself(shape):
    site, box = case(shape), box_of(5, shape)
    (start,) = tile_starts(box, shape, SIZE)
    found = added_by(generator(), site.image, site, box)
    fills = zip(seen(site), (-1.0, 0.0), strict=True)
    padded = [torch.nn.functional.pad(volume, [16] * 6, value=fill)[None] for volume, fill in fills]
    cut = tuple(slice(first + 16, first + 32) for first in start)
    expected = generator()(*(one[(..., *cut)] for one in padded))[0]
    own = tuple(slice(one.start - first, one.stop - first) for one, first in zip(box, start, strict=True))
    torch.testing.assert_close(found, expected[(slice(None), *own)])
    middle = (np.array(start) + 8) - np.array(shape) / 2
    assert np.abs(middle).max() <= 2


def seam(added: np.ndarray, starts: list[tuple[int, ...]], where: np.ndarray) -> float:
    """Across the borders of tiles, over elsewhere."""
    return seam_ratio(added, borders(starts, SIZE), where)


def test_no_seams():
    """And it would show: were every tile normalised by itself and cut hard, there would be one."""
    shape, ratios = (40, 44, 40), []
    where, box = ball(18, shape), box_of(18, shape)
    starts = tile_starts(box, shape, SIZE)
    assert len(starts) > 8
    for seed in range(4):
        site, added = case(shape, seed), np.zeros(shape)
        added[box] = added_by(generator(), site.image, site, box)[0].numpy()
        ratios.append(seam(added, starts, where))
    assert 0.9 <= np.mean(ratios) <= 1.1
    x, m = seen(case(shape))
    patched = np.zeros(shape)
    for start in starts:
        here = tuple(slice(max(0, first), first + 16) for first in start)
        own = generator()(x[(slice(None), *here)][None], m[(slice(None), *here)][None])
        patched[here] = own[0, 0].numpy()
    assert seam(patched, starts, where) > 1.2


def test_the_generator_is_left_as_it_was():
    network, site = generator(), case((40, 40, 40))
    x, m = seen(site)
    before = network(x[None, :, :16, :16, :16], m[None, :, :16, :16, :16])
    added_by(network, site.image, site, box_of(15, (40, 40, 40)))
    assert torch.equal(network(x[None, :, :16, :16, :16], m[None, :, :16, :16, :16]), before)


def test_a_box_is_refined_as_the_whole_case_would_be():
    """With a rim, at an organ's surface: cutting first changes nothing."""
    shape = (24, 30, 26)
    organ = torch.from_numpy(ball(11, shape))
    site = replace(case(shape), organ=organ, body=organ)
    network, box = generator(rim_mm=3.0), box_of(5, shape)
    whole = tuple(slice(0, size) for size in shape)
    found = refine(network, site.image, site, box)
    added = torch.zeros_like(site.image)
    added[(slice(None), *box)] = added_by(network, site.image, site, box)
    expected = network.refined(site.image[None], added[None], network.depth_weight(organ[None]))[0][(slice(None), *box)]
    torch.testing.assert_close(found, expected)
    assert refine(network, site.image, site, whole).shape == site.image.shape
