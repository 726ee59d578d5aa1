"""Spectra along axes, and the blur that makes one scan's like another's."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nnunetv2_tf.synthesis.sharpness import FREQUENCIES, LENGTH, blur_that_gives, spectrum_along, stretches_in

SHAPE = (48, 56, 52)
INSIDE = np.ones(SHAPE, bool)


def scan(seed: int, sigma: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """(Z, Y, X): blobs of many sizes, seen by a scanner that smears."""
    rng = np.random.default_rng(seed)
    blobs = [gaussian_filter(rng.normal(size=SHAPE), width) * width**1.5 for width in (0.8, 1.5, 3, 6)]
    return gaussian_filter(np.sum(blobs, axis=0), sigma).astype(np.float32)


def spectra(image: np.ndarray) -> np.ndarray:
    return np.array([spectrum_along(image, stretches_in(INSIDE), axis) for axis in range(3)])


def test_stretches_lie_inside():
    inside = np.zeros(SHAPE, bool)
    inside[4:40, 10:50, 3:44] = True
    for axis, places in enumerate(stretches_in(inside)):
        assert len(places) > 0
        for z, y, x in places[::97]:
            place = [z, y, x]
            along = np.moveaxis(inside, axis, -1)[place[0], place[1]]
            assert along[8 * x : 8 * x + LENGTH].all()
    assert [len(places) for places in stretches_in(np.zeros(SHAPE, bool))] == [0, 0, 0]


def test_a_wave_has_its_power_at_its_frequency():
    wave = np.sin(2 * np.pi * 3 * np.arange(SHAPE[1]) / LENGTH)[None, :, None] * np.ones(SHAPE)
    found = spectrum_along(wave, stretches_in(INSIDE), 1)
    assert len(found) == FREQUENCIES
    assert int(found.argmax()) == 3


@pytest.mark.parametrize("sigma", [(0.8, 0.0, 0.0), (0.5, 0.6, 1.2), (1.5, 0.0, 0.7)])
def test_the_blur_is_found(sigma):
    found = blur_that_gives(scan(2), INSIDE, stretches_in(INSIDE), spectra(scan(1, sigma)))
    np.testing.assert_allclose(found, sigma, atol=0.25)


def test_what_is_sharp_enough_is_not_blurred():
    found = blur_that_gives(scan(2, (1.0, 1.0, 1.0)), INSIDE, stretches_in(INSIDE), spectra(scan(1)))
    assert not found.any()
