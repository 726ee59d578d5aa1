"""Cohorts that differ are told apart, cohorts that do not are not; features mean what they are called."""

import numpy as np
import pytest
from scipy import ndimage

from nnunetv2_tf.io.errors import UserError
from nnunetv2_tf.quality.cohort_gap import FEATURES, Brain, cohort_gap, patch_features

SHAPE = (28, 30, 32)


def people(number: int, real: bool, seed: int, blur: float = 1.0, tumours: bool = False) -> list[Brain]:
    """Smooth noise in an ellipsoid; blur is the scanner's."""
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij"))
    brain = (grid**2).sum(axis=0) < 1
    rng = np.random.default_rng(seed)
    made = []
    for index in range(number):
        image = ndimage.gaussian_filter(rng.normal(size=SHAPE), blur) * brain
        tumour = np.zeros(SHAPE, bool)
        if tumours:
            tumour[10:18, 8:16, 20:28] = brain[10:18, 8:16, 20:28]
            image[tumour] += 50
        made.append(Brain(f"{seed}_{index}", real, 100 * image / image.std() + 300, brain, tumour))
    return made


def test_alike_cohorts_are_not_told_apart():
    rng = np.random.default_rng(0)
    found = [
        cohort_gap([*people(8, True, 2 * seed), *people(8, False, 2 * seed + 1)], 8, 6, rng, shuffles=60)
        for seed in range(5)
    ]
    assert sum(gap.p < 0.05 for gap in found) <= 1
    assert 0.2 < np.mean([gap.auc for gap in found]) < 0.8
    assert all(gap.low <= gap.auc <= gap.high for gap in found)


def test_blurred_cohorts_are_told_apart_and_it_says_by_what():
    gap = cohort_gap([*people(8, True, 0, blur=1.3), *people(8, False, 1)], 8, 6, np.random.default_rng(0), shuffles=60)
    assert gap.auc > 0.95
    assert gap.p == pytest.approx(1 / 61)
    widest = max(gap.differences, key=lambda name: abs(gap.differences[name]))
    assert widest.startswith(("gradient", "fine detail"))
    assert gap.differences["fine detail along z"] > 2
    assert "AUC" in str(gap)
    assert widest in str(gap)


def test_tumours_do_not_make_a_gap():
    brains = [*people(8, True, 0, tumours=True), *people(8, False, 1)]
    gap = cohort_gap(brains, 8, 6, np.random.default_rng(0), shuffles=60)
    assert gap.p > 0.05


def test_another_scan_of_a_person_does_not_give_the_person_away():
    """Every person is odd in a way of their own; were one scan learnt from, the other would be known."""
    rng = np.random.default_rng(3)
    brains = []
    for index in range(16):
        odd = rng.normal(size=SHAPE)
        for _ in range(2):
            one = people(1, index % 2 == 0, int(rng.integers(1 << 30)))[0]
            brains.append(Brain(f"p{index}", one.real, one.image + 200 * odd, one.brain, one.tumour))
    assert cohort_gap(brains, 8, 4, rng, shuffles=40).p > 0.05


def test_features_are_what_they_are_called():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(16, 16, 16))
    blurred = ndimage.gaussian_filter1d(noise, 1.5, axis=2)
    sharp, soft = (dict(zip(FEATURES, patch_features(patch), strict=True)) for patch in (noise, blurred))
    assert soft["fine detail along x"] < sharp["fine detail along x"] - 1
    assert soft["fine detail along z"] == pytest.approx(sharp["fine detail along z"], abs=0.3)
    assert soft["gradient along x"] < 0.6 * sharp["gradient along x"]
    assert sharp["contrast"] == pytest.approx(noise.std())
    assert sharp["brightness at 50 %"] == pytest.approx(np.median(noise))
    brighter = dict(zip(FEATURES, patch_features(noise * 3 + 7), strict=True))
    for name in FEATURES[6:]:
        assert brighter[name] == pytest.approx(sharp[name], abs=1e-6)


def test_what_cannot_be_measured():
    rng = np.random.default_rng(0)
    with pytest.raises(UserError, match="at least 5 people of each"):
        cohort_gap([*people(3, True, 0), *people(8, False, 1)], 8, 4, rng)
    with pytest.raises(UserError, match="has no place for a patch of 27 voxels"):
        cohort_gap([*people(6, True, 0), *people(6, False, 1)], 27, 4, rng)
