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
    asked = TumourConstraints(volume_ml=(low, high))
    choice = DonorChoice(BANK, CONFIG, asked, asked.reach(BANK, CONFIG))
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


def test_within_the_cohort_volumes_are_the_cohorts():
    known = np.array([lesion.volume for lesion in BANK.lesions])
    for low, high in ([*np.quantile(known, [0.3, 0.9])], [0.1, float(np.median(known))]):  # the latter: an upper limit
        among = known[(known >= low) & (known <= high)]
        volumes = [volume for _, volume in drawn(float(low), float(high))]
        assert np.median(volumes) == pytest.approx(np.median(among), rel=0.15)
