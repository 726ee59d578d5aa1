"""CarveMix against brute-force distances and against the published procedure."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.reference_carvemix import carve_mix, signed_distance
from nnunetv2_tf.methods.base import Donor, Site
from nnunetv2_tf.methods.carvemix import PRESETS, CarveMix, CarveMixConfig, carve

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.5, 0.7)]


def blob(rng: np.random.Generator, shape=(14, 15, 13)) -> np.ndarray:
    """One to three balls, anywhere, also over the edge."""
    lesion = np.zeros(shape, bool)
    for _ in range(rng.integers(1, 4)):
        centre, radius = rng.uniform(0, shape), rng.uniform(1, 4)
        lesion |= np.linalg.norm(np.indices(shape) - centre[:, None, None, None], axis=0) < radius
    lesion[tuple(rng.integers(shape))] = True
    return lesion


def brute_force(lesion: np.ndarray, spacing) -> np.ndarray:
    """phi by comparing every voxel with every other."""
    places = np.indices(lesion.shape).reshape(3, -1).T * np.array(spacing)
    inside, outside = places[lesion.ravel()], places[~lesion.ravel()]
    phi = np.empty(lesion.size)
    phi[~lesion.ravel()] = np.min(np.linalg.norm(outside[:, None] - inside, axis=2), axis=1)
    phi[lesion.ravel()] = -np.min(np.linalg.norm(inside[:, None] - outside, axis=2), axis=1)
    return phi.reshape(lesion.shape)


def whole(lesion: np.ndarray, box, mask: np.ndarray) -> np.ndarray:
    region = np.zeros_like(lesion)
    region[box] = mask
    return region


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(12))
def test_the_region_is_where_the_brute_force_distance_is_below_lambda(seed, spacing):
    lesion = blob(np.random.default_rng(seed))
    phi = brute_force(lesion, spacing)
    for draw in range(6):
        box, mask, threshold = carve(lesion, spacing, np.random.default_rng(draw))
        margin = 1e-9 * np.sign(threshold)
        assert not ((np.abs(phi - threshold) < 1e-9) & ~lesion).any()  # no ties, which rounding could break
        np.testing.assert_array_equal(whole(lesion, box, mask), phi < threshold - margin)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SPACINGS), st.booleans())
def test_bit_equal_to_the_published_procedure_for_one_class(seed, spacing, as_float):
    rng = np.random.default_rng(seed)
    lesion = blob(rng)
    host, donor = rng.normal(size=(2, 1, *lesion.shape))
    host_label, donor_label = (part.astype(float if as_float else np.uint8) for part in (blob(rng), lesion))
    expected = carve_mix(host, donor, host_label, donor_label.astype(float), spacing, np.random.default_rng(seed))
    box, mask, threshold = carve(lesion, spacing, np.random.default_rng(seed))
    region = whole(lesion, box, mask)
    assert threshold == expected[3]
    np.testing.assert_array_equal(region, expected[2] == 1)
    np.testing.assert_array_equal(np.where(region, donor, host), expected[0])
    np.testing.assert_array_equal(np.where(region, donor_label, host_label), expected[1])


def test_several_classes_count_as_one_lesion():
    """The published distance is taken to class 1 only; ours is that of the union."""
    rng = np.random.default_rng(3)
    lesion = blob(rng)
    label = np.where(lesion, rng.integers(1, 4, lesion.shape), 0)
    site = site_with(label)
    for seed in range(10):
        (edited,) = CarveMix(CarveMixConfig(), torch.device("cpu"), {}).edit([site], [np.random.default_rng(seed)])
        assert edited.region is not None
        nothing = np.zeros((1, *lesion.shape))
        rng = np.random.default_rng(seed)
        union = carve_mix(nothing, nothing, nothing[0], lesion.astype(float), site.spacing, rng)
        np.testing.assert_array_equal(edited.region.numpy(), union[2] == 1)
        np.testing.assert_array_equal(edited.label.numpy(), np.where(union[2] == 1, label, 7))


def test_lambda_has_the_published_distribution():
    """Half of the time uniform in (-D/2, 0), else uniform in (0, D)."""
    lesion = blob(np.random.default_rng(5), (20, 20, 20))
    deepest = -signed_distance(lesion * 1.0, (1, 1, 1)).min()
    drawn = np.array([carve(lesion, (1, 1, 1), np.random.default_rng(seed))[2] for seed in range(4000)]) / deepest
    assert drawn.min() > -0.5
    assert drawn.max() < 1
    assert abs((drawn < 0).mean() - 0.5) < 0.03
    for part, low, high in ((drawn[drawn < 0], -0.5, 0), (drawn[drawn > 0], 0, 1)):
        quantiles = np.quantile((part - low) / (high - low), [0.1, 0.25, 0.5, 0.75, 0.9])
        np.testing.assert_allclose(quantiles, [0.1, 0.25, 0.5, 0.75, 0.9], atol=0.04)


def test_nothing_is_pasted_outside_either_organ():
    site = site_with(blob(np.random.default_rng(1)).astype(np.int16))
    half = torch.zeros_like(site.organ)
    half[:, :7] = True
    upper = torch.zeros_like(site.organ)
    upper[5:] = True
    donor = replace(site.donors[0], organ=upper)
    site = replace(site, organ=half, tumour=site.tumour * half, donors=(donor,))
    for seed in range(10):
        (edited,) = CarveMix(CarveMixConfig(), torch.device("cpu"), {}).edit([site], [np.random.default_rng(seed)])
        changed = (edited.image != site.image)[0]
        assert not (changed & ~(half & upper)).any()
        assert edited.region is not None
        assert torch.equal(changed, edited.region)


def test_presets_are_the_published_one():
    assert {"paper": CarveMixConfig(0.5, 1.0), "default": CarveMixConfig(0.5, 1.0)} == PRESETS


def site_with(label: np.ndarray) -> Site:
    """A host of zeros labelled 7, a donor of ones, organs everywhere."""
    tumour = torch.from_numpy(label.astype(np.int16))
    everywhere = torch.ones(label.shape, dtype=torch.bool)
    donor = Donor(torch.ones(1, *label.shape), tumour, tumour, everywhere)
    host = torch.zeros(1, *label.shape)
    return Site(
        host,
        torch.full(label.shape, 7, dtype=torch.int16),
        everywhere,
        tumour,
        (donor,),
        (1.0, 1.0, 1.0),
        everywhere,
        1,
    )
