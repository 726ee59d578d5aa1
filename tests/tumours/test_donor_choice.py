"""Volumes as they are asked for, also where no donor has them."""

import numpy as np
import pytest

from nnunetv2_tf.tumours.constraints import TumourConstraints
from nnunetv2_tf.tumours.donor_choice import DonorChoice
from nnunetv2_tf.tumours.sampling_config import SamplingConfig
from tests.tumours.hosts import bank

BANK, CONFIG = bank(number=12), SamplingConfig(combine=0.0)


def drawn(low: float, high: float, number: int = 400) -> list[tuple[str, float]]:
    """Return donors, and what they are scaled to in ml."""
    choice = DonorChoice(BANK, CONFIG, TumourConstraints(volume_ml=(low, high)))
    draws = [choice.donors(np.random.default_rng(index))[0] for index in range(number)]
    return [(lesion.donor, lesion.volume * scale**3) for lesion, scale in draws]


def test_small_tumours_are_of_all_sizes_asked_for_and_of_many_donors():
    donors, volumes = zip(*drawn(0.5, 4.0), strict=True)
    assert min(volumes) >= 0.5 * 0.999
    assert max(volumes) <= 4.0 * 1.001
    middle = float(np.sqrt(0.5 * 4.0))  # of the logarithms, which come alike
    assert np.mean(np.array(volumes) < middle) == pytest.approx(0.5, abs=0.08)
    assert len(set(donors)) == len(BANK.lesions)
    smallest = {donor for donor, volume in zip(donors, volumes, strict=True) if volume < 0.6}
    assert len(smallest) >= len(BANK.lesions) // 2


def test_smaller_than_any_reaches_up_to_what_is_asked_for():
    """Asked for from what no donor gets to what some have: all sizes, not those of the cohort alone."""
    volumes = np.array([volume for _, volume in drawn(0.5, 20.0)])
    assert np.mean(volumes < np.sqrt(0.5 * 20.0)) == pytest.approx(0.5, abs=0.08)


def test_within_the_cohort_volumes_are_the_cohorts():
    known = np.array([lesion.volume for lesion in BANK.lesions])
    low, high = np.quantile(known, [0.3, 0.9])
    among = known[(known >= low) & (known <= high)]
    volumes = [volume for _, volume in drawn(float(low), float(high))]
    assert np.median(volumes) == pytest.approx(np.median(among), rel=0.12)
