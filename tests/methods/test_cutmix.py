"""CutMix against plain loops."""

import numpy as np
import pytest
import torch

from nnunetv2_tf.geometry.boxes import box_from, shape_of
from nnunetv2_tf.methods.base import Donor, Edited, Site
from nnunetv2_tf.methods.cutmix import PRESETS, CutMix, box_of_share, drawn_voxel

SHAPE = (9, 10, 11)
WHOLE = box_from((1, 0, 2), (8, 10, 10))


def site() -> Site:
    rng = np.random.default_rng(0)
    organ, known = np.zeros((2, *SHAPE), bool)
    organ[WHOLE] = rng.random(shape_of(WHOLE)) < 0.9
    organ[WHOLE][0, 0, 0] = organ[WHOLE][-1, -1, -1] = True
    known[1:, 1:] = True
    host, given = rng.normal(size=(2, 2, *SHAPE)).astype(np.float32)
    own, label = (rng.integers(0, 3, SHAPE).astype(np.int16) for _ in range(2))
    tumour = np.where(np.indices(SHAPE).sum(axis=0) < 12, label, 0).astype(np.int16)
    donor = Donor(*map(torch.from_numpy, (given, label, tumour, known)))
    inside = torch.from_numpy(organ)
    placed = torch.where(inside, donor.tumour, 0)
    return Site(
        torch.from_numpy(host), torch.from_numpy(own), inside, placed, (donor,), (1.0, 1.0, 1.0), inside, 5
    )  # fmt: skip


def edited(preset: str, seed: int) -> Edited:
    (result,) = CutMix(PRESETS[preset], torch.device("cpu"), {}).edit([site()], [np.random.default_rng(seed)])
    return result


@pytest.mark.parametrize("preset", ["paper", "default"])
@pytest.mark.parametrize("seed", range(8))
def test_a_box_is_the_donors_and_all_else_the_hosts(preset, seed):
    before, result = site(), edited(preset, seed)
    (donor,), region = before.donors, result.region
    assert region is not None
    changed = np.argwhere(region.numpy())
    low, high = changed.min(axis=0), changed.max(axis=0)
    for place in np.ndindex(*SHAPE):
        in_box = all(first <= at <= last for first, at, last in zip(low, place, high, strict=True))
        taken = in_box and bool(before.organ[place]) and bool(donor.organ[place])
        assert bool(region[place]) == taken
        source = donor if taken else before
        assert result.label[place] == source.label[place]
        assert torch.equal(result.image[(slice(None), *place)], source.image[(slice(None), *place)])


def test_boxes_of_the_default_hold_tumour_and_those_of_the_paper_lie_anywhere():
    tumour = site().tumour > 0
    for name, always in (("default", True), ("paper", False)):
        regions = [edited(name, seed).region for seed in range(40)]
        assert all(region is not None and bool((region & tumour).any()) for region in regions) is always


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 1.0])
def test_the_box_has_its_share_and_stays_within(share):
    whole = box_from((2, 3, 4), (42, 53, 34))
    size = np.array(shape_of(whole))
    middle = box_of_share(whole, share, np.array([22, 28, 19]))
    np.testing.assert_allclose(shape_of(middle), np.maximum(size * share ** (1 / 3), 1), atol=0.51)
    for seed in range(20):
        centre = drawn_voxel(whole, None, np.random.default_rng(seed))
        box = box_of_share(whole, share, centre)
        for part, outer, at in zip(box, whole, centre, strict=True):
            assert outer.start <= part.start <= at < part.stop <= outer.stop


def test_voxels_are_drawn_of_the_mask_all_as_likely():
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 1, 1] = mask[2, 3, 0] = True
    drawn = [tuple(drawn_voxel(WHOLE, mask, np.random.default_rng(seed)).tolist()) for seed in range(200)]
    assert set(drawn) == {(1, 1, 1), (2, 3, 0)}
    assert 60 < drawn.count((1, 1, 1)) < 140


def test_how_large_boxes_were_is_recorded():
    shares = [edited("paper", seed).controls["share"][0] for seed in range(200)]
    assert 0.4 < np.mean(shares) < 0.6
    assert min(shares) < 0.05
    assert max(shares) > 0.95
