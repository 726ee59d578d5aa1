"""Distances against independent references, and in the right direction."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from nnunetv2_tf.quality import distances
from nnunetv2_tf.quality.distances import (
    brightness_distance,
    diversity,
    kernel_figure,
    nearest_real,
    profile_distance,
)
from nnunetv2_tf.quality.realism import kernel_distance
from tests.quality.spots import both, spot

ONES = (np.ones(12), np.ones(12))


def test_brightness_is_wassersteins_distance():
    pair = [spot(0, True, ("a",), classes=1), spot(1, False, ("b",), classes=1, depth=-2.0)]
    values = [one.image[0][(one.tumour == 1) & one.organ] for one in pair]
    found = brightness_distance(pair, (1,))(np.ones(1), np.ones(1))
    sd = pair[0].image[0][pair[0].organ].std()  # in standard deviations of what is in view of real cases
    assert found == pytest.approx(wasserstein_distance(*values) / sd, abs=0.05)


@pytest.mark.parametrize("figure", [lambda ones: brightness_distance(ones, (1, 2)), profile_distance])
def test_distances_are_the_same_however_scans_are_normalised(figure):
    ones = both(depth=-2.0)
    others = [replace(one, image=one.image * 300 + 500) for one in ones]
    assert figure(others)(*ONES) == pytest.approx(figure(ones)(*ONES), rel=1e-3)


@pytest.mark.parametrize("figure", [lambda ones: brightness_distance(ones, (1, 2)), profile_distance])
def test_distances_grow_with_the_fault(figure):
    found = [figure(both(depth=depth))(*ONES) for depth in (-1.0, -1.5, -2.0)]
    assert found[0] < 0.15 < found[1] < found[2]


def test_weights_count_examples_several_times(monkeypatch):
    monkeypatch.setattr(distances, "_in_view", lambda _: (np.zeros(1), np.ones(1)))
    ones = both(depth=-2.0)
    weight = np.zeros(12)
    weight[0] = 3
    single = [one for one in ones if one.real][:1] + [one for one in ones if not one.real]
    expected = brightness_distance(single, (1, 2))(np.ones(1), np.ones(12))
    assert brightness_distance(ones, (1, 2))(weight, np.ones(12)) == pytest.approx(expected)


def test_a_missing_class_is_left_out():
    ones = both()
    assert np.isfinite(brightness_distance(ones, (1, 2, 3))(*ONES))
    assert np.isnan(brightness_distance(ones, (3,))(*ONES))


def test_kid_is_the_one_without_weights():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(24, 6))
    real = np.arange(24) < 12
    found = kernel_figure(features, real)(*ONES)
    assert found == pytest.approx(kernel_distance(features[real], features[~real]))
    assert np.isnan(kernel_figure(features, real)(np.eye(12)[0], np.ones(12)))


def test_diversity_and_the_nearest_real_one():
    rng = np.random.default_rng(0)
    features, real = rng.normal(size=(24, 6)), np.arange(24) < 12
    assert diversity(features, real)(*ONES) == pytest.approx(1.0, abs=0.2)
    even = np.where(real[:, None] & (np.arange(6) == 0), 0.0, features)  # what no real case varies in is left out
    assert diversity(even, real)(*ONES) == pytest.approx(1.0, abs=0.3)
    assert nearest_real(features, real)(*ONES) == pytest.approx(1.0, abs=0.3)
    copies = features.copy()
    copies[~real] = features[real][[0, 1] * 6] + 1e-4
    assert diversity(copies, real)(*ONES) < 0.8
    assert nearest_real(copies, real)(*ONES) < 0.01
