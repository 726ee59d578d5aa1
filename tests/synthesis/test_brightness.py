"""What tissue's brightness is taken for, by depth, and how another organ takes it over."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.geometry.distances import depth_in
from nnunetv2_tf.synthesis.brightness import DEPTHS, QUANTILES, RIM, WITHIN, Brightness

SHAPE = (60, 70, 60)


def brain(radius: float = 28.0) -> tuple[np.ndarray, np.ndarray]:
    """Where it is, and how deep."""
    places = np.indices(SHAPE) - np.reshape(SHAPE, (3, 1, 1, 1)) / 2
    inside = (places**2).sum(axis=0) < radius**2
    return inside, depth_in(inside, (1, 1, 1))[inside]


def tissue(seed: int, fluid: float) -> np.ndarray:
    """White and grey matter, and a share of fluid, which is dark."""
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2)[brain()[0]]
    ranks = smooth.argsort().argsort() / len(smooth)
    return np.interp(ranks, (0, fluid, fluid + 0.02, 0.6, 1), (-2, -1.8, 0.2, 0.6, 1)).astype(np.float32)


def test_landmarks_and_levels_against_numpy():
    _, depth = brain()
    values = tissue(0, 0.1) - depth / 50
    found = Brightness.of(values, depth)
    assert found.whole == tuple(np.percentile(values, QUANTILES))
    assert found.rim == tuple(np.percentile(values[depth <= RIM], QUANTILES))
    assert found.deeper == tuple(np.percentile(values[depth > RIM], QUANTILES))
    assert [place for place, _ in found.levels] == [7.5, 12.5, 17.5, 22.5]
    for place, level in found.levels:
        bright = np.percentile(values, 10)
        there = [one for one, deep in zip(values, depth, strict=True) if abs(deep - place) <= 2.5 and one > bright]
        assert level == pytest.approx(np.percentile(there, 75))


def test_a_bright_rim_does_not_brighten_what_is_deep():
    """Remnants of dura at a patient's surface: by ranks over all of the brain, a host's deepest tissue would be so."""
    _, depth = brain()
    patient, host = tissue(1, 0.1) - depth / 40, tissue(2, 0.1)
    patient[(depth <= RIM) & (np.random.default_rng(3).random(len(depth)) < 0.2)] = 3.0
    wanted = Brightness.of(patient, depth)
    found = wanted.given_to(host, depth)
    for low, high in ((0, RIM - 2), (8, 12), (12, 16), (16, 20), (20, 28)):
        shell = (depth > low) & (depth <= high)
        for quantile in (50, 75, 95):
            assert np.percentile(found[shell], quantile) == pytest.approx(
                np.percentile(patient[shell], quantile), abs=0.15
            )
    by_ranks = Brightness(wanted.whole).given_to(host, depth)
    deep = depth > 16
    assert np.percentile(by_ranks[deep], 95) > np.percentile(patient[deep], 95) + 0.5


def test_fluid_of_a_larger_ventricle_does_not_darken_a_hosts_tissue():
    _, depth = brain()
    patient, host = tissue(1, 0.1), tissue(2, 0.1)
    deep = depth > 20
    patient[deep & (np.random.default_rng(4).random(len(depth)) < 0.8)] = -2
    found = Brightness.of(patient, depth).given_to(host, depth)
    is_tissue = deep & (host > 0.25)
    assert abs(float((found - host)[is_tissue].mean())) < 0.15


def test_at_one_depth_what_is_darker_stays_darker():
    _, depth = brain()
    host, found = tissue(2, 0.1), Brightness.of(tissue(1, 0.2) * 3, depth).given_to(tissue(2, 0.1), depth)
    for deep in np.unique(depth)[::40]:
        order = host[depth == deep].argsort()
        assert (np.diff(found[depth == deep][order]) >= -1e-5).all()


def test_its_own_brightness_changes_nothing_much():
    _, depth = brain()
    host = tissue(2, 0.1)
    found = Brightness.of(host, depth).given_to(host, depth)
    kept = (host > np.percentile(host, 2)) & (host < np.percentile(host, 98))
    np.testing.assert_allclose(found[kept], host[kept], atol=0.02)


@pytest.mark.parametrize("small", ["host", "model"])
def test_a_small_organ_is_taken_as_one(small):
    """Its rim is most of it."""
    _, depth = brain()
    few = slice(None, None, 60)
    model, host = tissue(1, 0.1) * 2 + 1, tissue(2, 0.1)
    if small == "host":
        wanted, host, depth = Brightness.of(model, depth), host[few], depth[few]
    else:
        wanted = Brightness.of(model[few], depth[few])
        assert not wanted.rim
        assert not wanted.levels
    found = wanted.given_to(host, depth)
    np.testing.assert_allclose(np.percentile(found, QUANTILES), wanted.whole, rtol=0.01, atol=0.01)
    assert (np.diff(found[host.argsort()]) >= 0).all()


def test_levels_are_taken_beneath_the_rim_and_as_deep_as_a_head_is():
    assert DEPTHS[0] == RIM + WITHIN
    assert set(np.diff(DEPTHS)) == {2 * WITHIN}
    assert DEPTHS[-1] > 60


@pytest.mark.parametrize("times", [1, 4])
def test_few_voxels_are_as_few_where_only_some_are_looked_at(times):
    """Levels of a thin core, of 150 voxels or 300, among enough others that not all of them are looked at."""
    _, depth = brain()
    values, depth = np.tile(tissue(0, 0.1), times), np.tile(depth, times)
    for number, there in ((150, False), (450, True)):
        with_core = np.append(values, np.full(number, 1.0)), np.append(depth, np.full(number, 62.5))
        order = np.random.default_rng(0).permutation(len(values) + number)
        assert (62.5 in dict(Brightness.of(*(part[order] for part in with_core)).levels)) is there
