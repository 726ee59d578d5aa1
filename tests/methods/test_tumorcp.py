"""TumorCP: what is pasted, against plain loops, and how it meets the host."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion

from nnunetv2_tf.methods.base import Donor, Edited, Site
from nnunetv2_tf.methods.tumorcp import PRESETS, TumorCP, TumorCPConfig, bent, changed_inside

SHAPE = (14, 15, 16)
PLAIN = TumorCPConfig(often=0.0, membrane_mm=None)


def ball(centre, radius: float) -> np.ndarray:
    return np.linalg.norm(np.indices(SHAPE) - np.reshape(centre, (3, 1, 1, 1)), axis=0) < radius


def site_of(donors: int = 1, channels: int = 2, shift: float = 0.0) -> Site:
    """A host of noise about 0, and donors about `shift` whose tumours are 3 darker."""
    rng = np.random.default_rng(1)
    host, organ = rng.normal(0, 0.1, (channels, *SHAPE)).astype(np.float32), ball((7, 7, 8), 6.5)
    tumour, given = np.zeros(SHAPE, np.int16), []
    for index in range(donors):
        own = np.select([ball((7, 7, 6 + 4 * index), 2), ball((7, 7, 6 + 4 * index), 3)], [1, 2]).astype(np.int16)
        image = (rng.normal(shift, 0.1, host.shape) - 3 * (own > 0)).astype(np.float32)
        given.append(Donor(*map(torch.from_numpy, (image, own, own, organ))))
        tumour = np.where((tumour == 0) & organ, own, tumour)
    label = torch.zeros(SHAPE, dtype=torch.int16)
    label[0, 0, 0] = 3  # the host's own
    inside = torch.from_numpy(organ)
    return Site(
        torch.from_numpy(host), label, inside, torch.from_numpy(tumour), tuple(given), (1.0, 1.0, 1.0), inside, 5
    )  # fmt: skip


def edited(site: Site, config: TumorCPConfig, seed: int = 0) -> Edited:
    method = TumorCP(config, torch.device("cpu"), {})
    (result,) = method.edit([site], [np.random.default_rng(seed)])
    return result


@pytest.mark.parametrize("donors", [1, 2])
def test_pasted_hard_it_is_the_donor_in_the_map_and_the_host_elsewhere(donors):
    site = site_of(donors)
    result = edited(site, PLAIN)
    for place in np.ndindex(*SHAPE):
        value = int(site.tumour[place])
        assert result.label[place] == (value or site.label[place])
        source = next((donor.image for donor in site.donors if value and donor.tumour[place] == value), site.image)
        assert torch.equal(result.image[(slice(None), *place)], source[(slice(None), *place)])
    assert result.reach_mm == 0


def test_a_membrane_makes_it_meet_the_host_and_leaves_its_middle_darker():
    """The donor's scan is 2 brighter all over; its tumour is 3 darker than what is around it, in the host, too."""
    site = site_of(shift=2.0)
    results = [edited(site, replace(PLAIN, membrane_mm=length)) for length in (None, 3.5)]
    hard, soft = (result.image[0].numpy() for result in results)
    tumour = site.tumour.numpy() > 0
    border = tumour & ~np.asarray(binary_erosion(tumour), bool)
    beside = np.asarray(binary_dilation(tumour), bool) & ~tumour
    assert hard[border].mean() - hard[beside].mean() == pytest.approx(-1.0, abs=0.1)
    assert soft[border].mean() - soft[beside].mean() == pytest.approx(-3.0, abs=0.5)
    middle = np.asarray(binary_erosion(tumour, iterations=2), bool)
    assert abs(soft[middle].mean() - hard[middle].mean()) < abs(soft[border].mean() - hard[border].mean())
    assert np.array_equal(soft[~tumour], hard[~tumour])


def test_brightness_is_bent_within_its_range_and_keeps_mean_and_spread():
    values = np.random.default_rng(0).gamma(2.0, size=500).astype(np.float32)
    for gamma in (0.7, 1.5):
        low, high = values.min(), values.max()
        plain = np.array([((value - low) / (high - low)) ** gamma for value in values])
        found = bent(values, gamma)
        np.testing.assert_allclose((found.mean(), found.std()), (values.mean(), values.std()), rtol=1e-4)
        assert np.corrcoef(found, plain)[0, 1] == pytest.approx(1.0)
        np.testing.assert_array_equal(np.argsort(found), np.argsort(values))
    assert np.array_equal(bent(np.ones(3), 1.5), np.ones(3))


def test_nothing_beside_the_tumour_is_changed_or_mixed_in():
    image, mask = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32), ball((7, 7, 8), 4)
    other = np.where(mask, image, 100).astype(np.float32)
    for gamma, sigma in ((1.5, 0.0), (1.0, 1.2), (0.8, 0.9)):
        found, again = (changed_inside(one, mask, gamma, [sigma] * 3) for one in (image, other))
        np.testing.assert_array_equal(found[:, ~mask], image[:, ~mask])
        np.testing.assert_allclose(found[:, mask], again[:, mask], atol=1e-4)
        assert not np.allclose(found[:, mask], image[:, mask])
    blurred = changed_inside(image, mask, 1.0, [1.0] * 3)
    assert blurred[:, mask].std() < 0.5 * image[:, mask].std()


def test_gamma_and_blur_are_drawn_as_often_as_is_said_and_recorded():
    site, drawn = site_of(), []
    for seed in range(60):
        drawn += edited(site, PRESETS["paper"], seed).controls["pasted"]
    for name, least, most, none in (("gamma", 0.7, 1.5, 1.0), ("blur_mm", 1.0, 5.0, 0.0)):
        values = [one[name] for one in drawn if one[name] != none]
        assert 18 <= len(values) <= 42
        assert least <= min(values) < max(values) <= most


def test_what_no_donor_has_is_no_tumour():
    """As where a donor's box ends: nothing is known of it there."""
    site = site_of()
    cut = site.donors[0].organ.clone()
    cut[:7] = False
    result = edited(replace(site, donors=(replace(site.donors[0], organ=cut),)), PLAIN)
    assert not (result.label[:7] > 0)[site.tumour[:7] > 0].any()
    assert torch.equal(result.image[:, :7], site.image[:, :7])
