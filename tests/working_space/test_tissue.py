"""A tumour stands out from a host's tissue as it did from its donor's."""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_tf.working_space import tissue as module
from nnunetv2_tf.working_space.tissue import as_in, tissue
from tests.scenes import Built


def test_moments_are_those_beside_the_tumour(scene: Built):
    case = scene.cases[0]
    beside = case.organ() & (case.tumour() == 0)
    moments = tissue(case)
    assert moments is not None
    assert moments[0, 0] == pytest.approx(case.image()[0][beside].mean(), abs=1e-5)
    assert moments[1, 0] == pytest.approx(case.image()[0][beside].std(), abs=1e-5)


@pytest.mark.parametrize("scene", ["one channel", "four channels, two classes"], indirect=True)
def test_contrast_is_kept_in_units_of_the_tissue(scene: Built):
    donor, host = scene.cases[:2]
    inside = donor.tumour() > 0
    scaled = as_in(donor.image(), donor, host)
    own, others = tissue(donor), tissue(host)
    assert own is not None
    assert others is not None
    for channel, image in enumerate(scaled):
        before = (donor.image()[channel][inside].mean() - own[0, channel]) / own[1, channel]
        after = (image[inside].mean() - others[0, channel]) / others[1, channel]
        assert after == pytest.approx(before, abs=1e-4)
    assert np.abs(as_in(donor.image(), donor, donor) - donor.image()).max() < 1e-5


@pytest.mark.parametrize("scene", ["CT", "rescaled"], indirect=True)
def test_values_that_are_not_z_scored_stay(scene: Built):
    donor, host = scene.cases[:2]
    assert np.array_equal(as_in(donor.image(), donor, host), donor.image())


def test_without_tissue_nothing_is_scaled(scene: Built, monkeypatch):
    monkeypatch.setattr(module, "LEAST", 10**9)
    donor, host = (replace(case, cache=None).open() for case in scene.cases[:2])
    assert tissue(donor) is None
    assert np.array_equal(as_in(donor.image(), donor, host), donor.image())
