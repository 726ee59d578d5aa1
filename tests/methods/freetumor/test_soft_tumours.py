"""Soft maps and texture of sites."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt, gaussian_filter

from nnunetv2_tf.methods.freetumor.soft_tumours import SoftTumour
from tests.scenes import Built


@pytest.mark.parametrize("scene", ["one channel", "thick slices, coarser"], indirect=True)
def test_the_edge_is_a_gaussian_within_the_organ(scene: Built):
    site = scene.site(0, 1, "freetumor")
    drawn = SoftTumour.draw(site, (1.0, 2.0), np.random.default_rng(0))
    tumour, organ = site.tumour.numpy() > 0, site.organ.numpy()
    assert 1 <= drawn.edge_mm <= 2
    assert not drawn.soft[~organ].any()
    assert drawn.soft.max() <= 1
    sigma = drawn.edge_mm / np.array(site.spacing)
    expected = gaussian_filter(tumour.astype(float), sigma, mode="constant")
    deep = np.asarray(distance_transform_edt(organ, sampling=site.spacing)) > 6  # beyond what the organ's edge changes
    assert deep.any()
    np.testing.assert_allclose(drawn.soft[deep], expected[deep], atol=2e-2)


def test_there_is_texture_around_the_tumour_and_nothing_beyond(scene: Built):
    site = scene.site(0, 1, "freetumor")
    drawn = SoftTumour.draw(site, (1.0, 2.0), np.random.default_rng(0))
    inside = np.zeros(drawn.soft.shape, bool)
    inside[drawn.box] = True
    assert not drawn.soft[~inside].any()
    assert not drawn.texture[~inside].any()
    assert (drawn.texture[inside] > 0).all()
    again, other = (SoftTumour.draw(site, (1.0, 2.0), np.random.default_rng(seed)) for seed in (0, 1))
    assert np.array_equal(again.texture, drawn.texture)
    assert not np.array_equal(other.texture, drawn.texture)
