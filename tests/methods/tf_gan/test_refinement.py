"""Patches and tiles: one patch where it fits, no seams where it does not, and nothing beyond what was asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.baseline.crops import Box, box_around
from nnunetv2_tf.methods.base import Site
from nnunetv2_tf.methods.tf_gan.networks import composed, depth_share, one_hot, share_of
from nnunetv2_tf.methods.tf_gan.refinement import added_by, borders, refine, tile_starts
from nnunetv2_tf.quality.boundary import seam_ratio
from tests.methods.tf_gan.examples import SIZE, SPACING, ball, design, generator


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


def test_tiles_cover_all_that_was_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(50):
        shape = tuple(rng.integers(8, 60, 3).tolist())
        low = [int(rng.integers(0, size)) for size in shape]
        high = [int(rng.integers(a + 1, size + 1)) for a, size in zip(low, shape, strict=True)]
        box, covered = tuple(slice(a, b) for a, b in zip(low, high, strict=True)), np.zeros(shape, int)
        starts = tile_starts(box, shape, SIZE)
        for start in starts:
            covered[tuple(slice(max(0, first), max(0, first + 16)) for first in start)] += 1
        assert covered[box].min() >= 1
        longest = max(b - a for a, b in zip(low, high, strict=True))
        assert (len(starts) == 1) == (longest <= 16)


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
    expected = network.refined(site.image[None], added[None], network.depth(organ[None]))[0][(slice(None), *box)]
    torch.testing.assert_close(found, expected)
    assert refine(network, site.image, site, whole).shape == site.image.shape


def test_the_share_of_refinement_is_the_feather_of_finished_cases():
    distance = torch.tensor([0.0, 3.0, 6.0, 9.0])
    assert share_of(distance, 6.0) == pytest.approx([1, 0.5, 0, 0], abs=1e-6)
    assert share_of(distance, None).tolist() == [1, 1, 1, 1]
    host, image = (torch.full((1, 1, 1, 1, 4), value) for value in (0.0, 1.5))
    found = composed(host, image, share_of(distance, 6.0).reshape(1, 1, 1, 4))
    assert found.flatten().tolist() == pytest.approx([1.5, 0.75, 0, 0], abs=1e-6)


@pytest.mark.parametrize(("spacing", "rim"), [((1.0, 1.0, 1.0), 4.0), ((3.0, 1.5, 1.0), 4.0), ((1.0, 1.0, 1.0), 20.0)])
def test_depth_against_a_plain_loop(spacing, rim):
    organ = ball(7, (14, 18, 20))
    reach, inside = [round(rim / step) for step in spacing], np.zeros(organ.shape)
    for place in np.ndindex(organ.shape):
        box = tuple(slice(max(0, at - more), at + more + 1) for at, more in zip(place, reach, strict=True))
        inside[place] = max(0, 4 * organ[box].mean() - 3)
    found = depth_share(torch.from_numpy(organ)[None], rim, spacing)[0]
    np.testing.assert_allclose(found.numpy(), inside, atol=1e-5)


def test_the_rim_of_the_organ_stays_as_it_was():
    """At a flat surface: nothing in the outer half of the rim, everything below it, a part between."""
    organ = torch.zeros(1, 24, 24, 24, dtype=torch.bool)
    organ[:, :, :, 4:] = True
    network, coarse = generator(rim_mm=8.0), torch.zeros(1, 1, 24, 24, 24)
    changed = network.refined(coarse, torch.full_like(coarse, 0.5), network.depth(organ))[0, 0, 12, 12]
    assert not changed[: 4 + 4].any()
    torch.testing.assert_close(changed[4 + 8 :], torch.ones(12))  # half of the range, which is from -2 to 2
    assert ((changed[9:11] > 0) & (changed[9:11] < 1)).all()
    without = generator(rim_mm=0.0)
    assert torch.equal(without.refined(coarse, coarse + 0.5, without.depth(organ)), coarse + 1)


def test_a_plain_generator_keeps_what_lies_beyond_the_range():
    """tanh cannot say 1.7; what it says of 1 is added to what was there."""
    network = generator(residual=False)
    x = torch.full((1, 1, *SIZE), 1.7)
    m = torch.zeros(1, 3, *SIZE)
    said = torch.tanh(network.network(torch.cat([x, m], dim=1)))
    torch.testing.assert_close(x + network(x, m), said + 0.7)
    assert design(residual=False).reach_mm is None
